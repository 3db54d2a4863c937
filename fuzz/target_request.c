/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One message: a byte for the number of descriptors, the header, the payload. A request that comes
 * out of the parser has every field in range.
 */
#include "target.h"

#include "base/fd.h"
#include "protocol/request.h"

#include <string.h>

static void check_table(const struct request_mem_table *table, unsigned int fds)
{
	must(table->count <= WIRE_MEM_TABLE_MAX);
	must(table->count == fds);
}

static void check_config(const struct request_config *config, const uint8_t *payload, uint32_t size)
{
	must(config->size > 0 && config->size <= WIRE_CONFIG_MAX);
	must(config->offset <= WIRE_CONFIG_MAX - config->size);
	must(config->bytes >= payload && config->bytes + config->size <= payload + size);
}

static void check(const struct request *request, const struct request_limits *limits,
                  const uint8_t *payload, uint32_t size, unsigned int fds)
{
	must(request->vring < limits->vrings);
	switch (request->id) {
	case VHOST_USER_SET_MEM_TABLE:
		check_table(&request->mem_table, fds);
		break;
	case VHOST_USER_SET_VRING_NUM:
		must(request->num > 0 && request->num <= VIRTQ_SIZE_MAX);
		must((request->num & (request->num - 1)) == 0);
		break;
	case VHOST_USER_SET_VRING_ADDR:
		must(virtq_aligned(&request->vring_addr.addresses));
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		must(request->has_fd == (fds == 1));
		break;
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		check_config(&request->config, payload, size);
		break;
	default:
		break;
	}
}

static void parse(const struct request_header *header, const uint8_t *bytes, size_t len,
                  unsigned int fds)
{
	static const struct request_limits some[] = {{1, 1}, {2, 1024}, {256, VIRTQ_SIZE_MAX}};
	/* Exactly as long as the message says. */
	uint8_t *payload = calloc(1, header->size);
	struct request request;

	must(payload || header->size == 0);
	if (len > 0 && header->size > 0)
		memcpy(payload, bytes, len < header->size ? len : header->size);
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		enum request_verdict verdict =
		    request_parse(header, payload, fds, &some[i], &request);

		must(strlen(request_verdict_text(verdict)) > 0);
		if (verdict == REQUEST_OK)
			check(&request, &some[i], payload, header->size, fds);
	}
	must(strlen(request_name(header->request)) > 0);
	request_is_answered(header->request);
	free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct wire_header wire;
	struct request_header header;

	if (len < 1 + sizeof(wire))
		return 0;
	memcpy(&wire, bytes + 1, sizeof(wire));
	if (request_parse_header(&wire, &header) == REQUEST_OK) {
		must(header.size <= WIRE_PAYLOAD_MAX);
		parse(&header, bytes + 1 + sizeof(wire), len - 1 - sizeof(wire),
		      bytes[0] % (FD_BAG_MAX + 1));
	}
	return 0;
}
