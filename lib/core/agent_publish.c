/* SPDX-License-Identifier: MIT */
/* The keys that an owner wants to be known of the guest. */
#include "agent_jobs.h"

#include <xenpv/keys.h>

/* Toolstacks read the rest again when this is written. */
#define UPDATED_DIR  "data"
#define UPDATED_NAME "updated"

static uint32_t length_in(const char *text, uint32_t capacity)
{
    uint32_t length = 0;

    while (length < capacity && text[length])
        length++;
    return length;
}

static bool is_same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool is_free(const struct agent_row *row)
{
    return row->key.name[0] == '\0';
}

/* The row of that name, "" for a free one; config.keys: there is none. */
static uint32_t find(const struct xenpv_agent *agent, const char *name)
{
    uint32_t index = 0;

    while (index < agent->config.keys && !is_same(agent->rows[index].key.name, name))
        index++;
    return index;
}

/* ---------------------------------------------------------------------------- a list of keys -- */

static int check_keys(struct xenpv_agent *agent, const struct xenpv_agent_key *keys, uint32_t count)
{
    uint32_t news = 0, free_rows = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = length_in(keys[i].name, XENPV_AGENT_NAME);

        if (length == 0 || length == XENPV_AGENT_NAME ||
            length_in(keys[i].value, XENPV_AGENT_VALUE) == XENPV_AGENT_VALUE)
            return XENPV_EINVAL;
        news += find(agent, keys[i].name) == agent->config.keys;
    }
    for (uint32_t i = 0; i < agent->config.keys; i++)
        free_rows += is_free(&agent->rows[i]);
    return news > free_rows ? XENPV_E2BIG : XENPV_OK;
}

static void take(struct xenpv_agent *agent, const struct xenpv_agent_key *key)
{
    uint32_t index = find(agent, key->name);
    struct agent_row *row;

    if (index == agent->config.keys)
        index = find(agent, ""); /* check_keys has seen that there is one */
    row = &agent->rows[index];
    row->kept = true;
    if (!row->remove && is_same(row->key.name, key->name) && is_same(row->key.value, key->value)) {
        row->write |= row->refused && row->full;
        row->refused &= !row->full;
        return;
    }
    row->key = *key;
    row->write = true;
    row->remove = row->refused = row->full = false;
}

int xenpv_agent_publish(struct xenpv_agent *agent, const struct xenpv_agent_key *keys,
                        uint32_t count)
{
    int error = check_keys(agent, keys, count);

    if (error || agent->state == XENPV_AGENT_CLOSING || agent->state == XENPV_AGENT_CLOSED)
        return error;
    for (uint32_t i = 0; i < agent->config.keys; i++)
        agent->rows[i].kept = false;
    for (uint32_t i = 0; i < count; i++)
        take(agent, &keys[i]);
    for (uint32_t i = 0; i < agent->config.keys; i++)
        agent->rows[i].remove |= !is_free(&agent->rows[i]) && !agent->rows[i].kept;
    agent_want(agent, AGENT_PUBLISH);
    return XENPV_OK;
}

void agent_republish(struct xenpv_agent *agent)
{
    for (uint32_t i = 0; i < agent->config.keys; i++) {
        agent->rows[i].write = !is_free(&agent->rows[i]);
        agent->rows[i].refused = agent->rows[i].full = false;
    }
    agent_want(agent, AGENT_PUBLISH);
}

void agent_unpublish(struct xenpv_agent *agent)
{
    for (uint32_t i = 0; i < agent->config.keys; i++)
        agent->rows[i].remove = !is_free(&agent->rows[i]);
    agent_want(agent, AGENT_PUBLISH);
}

/* --------------------------------------------------------------------------------- the store -- */

/* What a refused key could not become it need not be taken back. */
static bool is_due(const struct agent_row *row)
{
    return !is_free(row) && (row->remove || (row->write && !row->refused));
}

static void add_row(struct xenpv_agent *agent, uint32_t index)
{
    const struct agent_row *row = &agent->rows[index];
    struct agent_slot *slot = &agent->slots[agent->batch.count];
    struct xenpv_store_op *op =
        agent_add(agent, row->remove ? XENPV_STORE_RM : XENPV_STORE_WRITE, slot->key.name, NULL);

    slot->row = index;
    slot->key = row->key;
    if (row->remove)
        return;
    op->value = slot->key.value;
    op->length = length_in(slot->key.value, XENPV_AGENT_VALUE);
}

void agent_build_publish(struct xenpv_agent *agent)
{
    char number[21];

    for (uint32_t i = 0; i < agent->config.keys && agent->batch.count < AGENT_OPS; i++)
        if (is_due(&agent->rows[i]))
            add_row(agent, i);
    if (agent->batch.count > 0 || !agent->touched)
        return;
    xenpv_format_number(++agent->updates, number);
    agent_add_write(agent, UPDATED_DIR, UPDATED_NAME, number);
    agent->touched = false;
}

/* It may have been given another value, or up, while the batch was under way. */
static void settle_row(struct agent_row *row, const struct agent_slot *slot, bool removed)
{
    if (removed && row->remove)
        *row = (struct agent_row){0};
    else if (!removed && is_same(row->key.value, slot->key.value))
        row->write = row->full = false;
}

static void refuse(struct xenpv_agent *agent, struct agent_row *row, int error)
{
    if (!row->refused && !row->full)
        agent_log(agent, XENPV_LOG_WARN, row->key.name,
                  ": cannot be published: ", xenpv_error_text(error));
    row->refused = true;
    row->full = error == XENPV_ENOSPC;
    row->write = false;
}

static void settle_op(struct xenpv_agent *agent, uint32_t index)
{
    const struct xenpv_store_op *op = &agent->ops[index];
    const struct agent_slot *slot = &agent->slots[index];
    struct agent_row *row = &agent->rows[slot->row];
    bool removed = op->type == XENPV_STORE_RM;

    if (op->status == XENPV_OK || removed) {
        settle_row(row, slot, removed);
        agent->touched |= op->status == XENPV_OK;
    } else {
        refuse(agent, row, op->status);
    }
}

static bool is_row(const struct xenpv_store_op *op)
{
    return op->name == NULL;
}

void agent_done_publish(struct xenpv_agent *agent)
{
    bool rows = is_row(&agent->ops[0]);

    for (uint32_t i = 0; rows && i < agent->batch.count; i++)
        settle_op(agent, i);
    if (rows)
        agent_want(agent, AGENT_PUBLISH);
}
