/* SPDX-License-Identifier: MIT */
/* What is known of one node: permissions, value, names of children, in one piece of memory. */
#include "store.h"

#define RECORD_HEADER 24u /* bytes that xenstored counts for every node ... */
#define RECORD_PERM   8u  /* ... and for each of its permission entries */

/* What a record is made of; the names of the children come in two pieces and `end` NULs. */
struct parts {
    const struct perm *perms;
    uint32_t perms_count;
    const void *value;
    uint32_t length;
    const char *names[2];
    uint32_t names_length[2];
    uint32_t end;
};

static uint8_t *bytes_of(struct record *record)
{
    return (uint8_t *)(record->perms + record->perms_count);
}

const uint8_t *mock_record_value(const struct record *record)
{
    return (const uint8_t *)(record->perms + record->perms_count);
}

const char *mock_record_children(const struct record *record)
{
    return (const char *)mock_record_value(record) + record->length;
}

static uint8_t *append(uint8_t *at, const void *bytes, uint32_t count)
{
    if (count > 0)
        memcpy(at, bytes, count);
    return at + count;
}

static struct record *assemble(struct xenpv_mock *mock, const struct parts *parts)
{
    uint32_t children = parts->names_length[0] + parts->names_length[1] + parts->end;
    size_t bytes =
        sizeof(struct record) + parts->perms_count * sizeof(struct perm) + parts->length + children;
    struct record *record = mock_alloc(mock, bytes, _Alignof(struct record));
    uint8_t *at;

    if (record == NULL)
        return NULL;
    record->references = 1;
    record->perms_count = parts->perms_count;
    record->length = parts->length;
    record->children_length = children;
    memcpy(record->perms, parts->perms, parts->perms_count * sizeof(struct perm));
    at = append(bytes_of(record), parts->value, parts->length);
    at = append(at, parts->names[0], parts->names_length[0]);
    append(at, parts->names[1], parts->names_length[1]);
    return record;
}

static struct parts parts_of(const struct record *record)
{
    return (struct parts){
        .perms = record->perms,
        .perms_count = record->perms_count,
        .value = mock_record_value(record),
        .length = record->length,
        .names = {mock_record_children(record)},
        .names_length = {record->children_length},
    };
}

struct record *mock_record(struct xenpv_mock *mock, const struct perm *perms, uint32_t count)
{
    return assemble(mock, &(struct parts){.perms = perms, .perms_count = count});
}

struct record *mock_record_with_value(struct xenpv_mock *mock, const struct record *from,
                                      const void *value, uint32_t length)
{
    struct parts parts = parts_of(from);

    parts.value = value;
    parts.length = length;
    return assemble(mock, &parts);
}

struct record *mock_record_with_perms(struct xenpv_mock *mock, const struct record *from,
                                      const struct perm *perms, uint32_t count)
{
    struct parts parts = parts_of(from);

    parts.perms = perms;
    parts.perms_count = count;
    return assemble(mock, &parts);
}

struct record *mock_record_with_child(struct xenpv_mock *mock, const struct record *from,
                                      const char *name, uint32_t length)
{
    struct parts parts = parts_of(from);

    parts.names[1] = name;
    parts.names_length[1] = length;
    parts.end = 1;
    return assemble(mock, &parts);
}

uint32_t mock_record_child(const struct record *record, const char *name, uint32_t length)
{
    const char *names = mock_record_children(record);
    uint32_t at = 0;

    while (at < record->children_length) {
        uint32_t bytes = (uint32_t)strlen(names + at);

        if (bytes == length && memcmp(names + at, name, length) == 0)
            break;
        at += bytes + 1;
    }
    return at;
}

struct record *mock_record_without_child(struct xenpv_mock *mock, const struct record *from,
                                         const char *name, uint32_t length)
{
    struct parts parts = parts_of(from);
    uint32_t at = mock_record_child(from, name, length);
    uint32_t after = at + length + 1;

    if (at < from->children_length) {
        parts.names_length[0] = at;
        parts.names[1] = mock_record_children(from) + after;
        parts.names_length[1] = from->children_length - after;
    }
    return assemble(mock, &parts);
}

struct record *mock_record_share(struct record *record)
{
    if (record != NULL)
        record->references++;
    return record;
}

void mock_record_drop(struct xenpv_mock *mock, struct record *record)
{
    if (record != NULL && --record->references == 0)
        mock_free(mock, record);
}

uint32_t mock_record_size(const struct record *record)
{
    return RECORD_HEADER + RECORD_PERM * record->perms_count + record->length +
           record->children_length;
}
