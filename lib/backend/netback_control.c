/* SPDX-License-Identifier: MIT */
/* The control ring of netif.h: what cannot be done is answered, and changes nothing. */
#include "backend/netback.h"
#include "core/check.h"
#include "core/key_name.h"

#define SUCCESS       XENPV_NETIF_CTRL_SUCCESS
#define NOT_SUPPORTED XENPV_NETIF_CTRL_NOT_SUPPORTED
#define INVALID       XENPV_NETIF_CTRL_INVALID_PARAMETER
#define OVERFLOW      XENPV_NETIF_CTRL_BUFFER_OVERFLOW

/* What a message does with data[], and the data of its answer; its status. */
typedef uint32_t handler(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out);

static uint32_t set_algorithm(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    (void)out;
    if (data[0] > XENPV_NETIF_ALGORITHM_TOEPLITZ)
        return INVALID;
    back->hash.algorithm = data[0];
    return SUCCESS;
}

static uint32_t get_flags(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    (void)data;
    if (back->hash.algorithm == XENPV_NETIF_ALGORITHM_NONE)
        return NOT_SUPPORTED;
    *out = XENPV_FLOW_TYPES;
    return SUCCESS;
}

static uint32_t set_flags(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    (void)out;
    if (back->hash.algorithm == XENPV_NETIF_ALGORITHM_NONE || (data[0] & ~XENPV_FLOW_TYPES))
        return INVALID;
    back->hash.types = data[0];
    return SUCCESS;
}

static uint32_t set_key(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    struct netback_hash *hash = &back->hash;
    uint8_t key[XENPV_FLOW_KEY];
    uint32_t bytes = data[1] < sizeof(key) ? data[1] : (uint32_t)sizeof(key);

    (void)out;
    if (!XENPV_CHECK(CTRL_KEY, data[1] <= sizeof(key)))
        return OVERFLOW;
    if (bytes && !netback_fetch(back, data[0], key, bytes))
        return INVALID;
    memcpy(hash->key, key, bytes);
    hash->key_bytes = bytes;
    return SUCCESS;
}

static uint32_t get_mapping_size(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    (void)data;
    *out = back->config.mapping;
    return SUCCESS;
}

static uint32_t set_mapping_size(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    struct netback_hash *hash = &back->hash;

    (void)out;
    if (!XENPV_CHECK(CTRL_MAPPING, data[0] <= back->config.mapping))
        return INVALID;
    hash->entries = data[0] < NETBACK_MAPPING ? data[0] : NETBACK_MAPPING;
    memset(hash->mapping, 0, sizeof(hash->mapping));
    return SUCCESS;
}

/* The part of the table is judged as a whole before any of it counts. */
static uint32_t set_mapping(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    struct netback_hash *hash = &back->hash;
    uint32_t count = data[1], first = data[2], *queues = (uint32_t *)(void *)back->moves.stage;

    (void)out;
    if (count > XENPV_PAGE_SIZE / sizeof(*queues))
        return OVERFLOW;
    if (!XENPV_CHECK(CTRL_MAPPING, first <= hash->entries && count <= hash->entries - first))
        return INVALID;
    if (count && !netback_fetch(back, data[0], queues, count * (uint32_t)sizeof(*queues)))
        return INVALID;
    for (uint32_t i = 0; i < count; i++) {
        if (!XENPV_CHECK(CTRL_QUEUE, queues[i] < back->queues))
            return INVALID;
    }
    for (uint32_t i = 0; i < count && first + i < NETBACK_MAPPING; i++)
        hash->mapping[first + i] = (uint8_t)queues[i];
    return SUCCESS;
}

static uint32_t get_grants(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    if (!netback_offers(back, XENPV_NET_STATIC_GRANTS))
        return NOT_SUPPORTED;
    if (!XENPV_CHECK(CTRL_QUEUE, data[0] < back->queues))
        return INVALID;
    *out = back->config.static_grants;
    return SUCCESS;
}

static uint32_t add_grants(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    (void)out;
    if (!netback_offers(back, XENPV_NET_STATIC_GRANTS))
        return NOT_SUPPORTED;
    return netback_add_grants(back, data);
}

static uint32_t del_grants(struct xenpv_netback *back, const uint32_t data[3], uint32_t *out)
{
    if (!netback_offers(back, XENPV_NET_STATIC_GRANTS))
        return NOT_SUPPORTED;
    return netback_remove_grants(back, data, out);
}

static handler *const handlers[XENPV_NETIF_CTRL_COUNT] = {
    [XENPV_NETIF_CTRL_GET_HASH_FLAGS] = get_flags,
    [XENPV_NETIF_CTRL_SET_HASH_FLAGS] = set_flags,
    [XENPV_NETIF_CTRL_SET_HASH_KEY] = set_key,
    [XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE] = get_mapping_size,
    [XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE] = set_mapping_size,
    [XENPV_NETIF_CTRL_SET_HASH_MAPPING] = set_mapping,
    [XENPV_NETIF_CTRL_SET_HASH_ALGORITHM] = set_algorithm,
    [XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE] = get_grants,
    [XENPV_NETIF_CTRL_ADD_GREF_MAPPING] = add_grants,
    [XENPV_NETIF_CTRL_DEL_GREF_MAPPING] = del_grants,
};

/* A list of up to 512 pages to be mapped or unmapped: no other message takes nearly as long. */
static bool is_list(uint32_t type)
{
    return type == XENPV_NETIF_CTRL_ADD_GREF_MAPPING || type == XENPV_NETIF_CTRL_DEL_GREF_MAPPING;
}

/* False: what follows has to wait for the next step, so that nobody else has to. */
static bool answer_one(struct xenpv_netback *back)
{
    struct xenpv_ring *ring = &back->control.ring;
    struct xenpv_netif_ctrl_request request;
    struct xenpv_netif_ctrl_response response;
    uint32_t data = 0;

    xenpv_netif_get_ctrl_request(xenpv_ring_next_in(ring), &request);
    response = (struct xenpv_netif_ctrl_response){
        .id = request.id, .type = request.type, .status = NOT_SUPPORTED};
    if (request.type < XENPV_NETIF_CTRL_COUNT && handlers[request.type])
        response.status = handlers[request.type](back, request.data, &data);
    response.data = data;
    back->stats.messages++;
    xenpv_netif_put_ctrl_response(&response, xenpv_ring_next_out(ring));
    return !is_list(request.type);
}

void netback_serve_control(struct xenpv_netback *back)
{
    struct xenpv_ring *ring = &back->control.ring;
    uint32_t available = xenpv_ring_available(ring);

    if (!XENPV_CHECK(REQ_PROD, available <= xenpv_ring_room(ring))) {
        netback_overrun(back, KEY_ALONE, ring, available);
        return;
    }
    if (available)
        back->control.armed = false;
    while (available && answer_one(back))
        available--;
    netback_publish(back, &back->control);
}
