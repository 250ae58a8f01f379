/* SPDX-License-Identifier: MIT */
/* Who may do what to a node: lists of permissions, and how xs_wire.h writes them. */
#include "store.h"
#include "text.h"

static const struct {
    char letter;
    uint8_t allowed;
} letters[] = {
    {'n', 0},
    {'r', PERM_READ},
    {'w', PERM_WRITE},
    {'b', PERM_READ | PERM_WRITE},
};

enum { LETTERS = sizeof(letters) / sizeof(letters[0]) };

bool mock_privileged(const struct domain *domain)
{
    return domain->domid == 0;
}

static bool speaks_for(const struct domain *domain, uint32_t domid)
{
    return domid == domain->domid ||
           (domain->has_target && domid == domain->target && mock_domain(domain->mock, domid));
}

uint8_t mock_perms_of(const struct domain *domain, const struct record *record)
{
    const struct perm *perms = record->perms;

    if (mock_privileged(domain) || speaks_for(domain, perms[0].domid))
        return PERM_READ | PERM_WRITE | PERM_OWNER;
    for (uint32_t i = 1; i < record->perms_count; i++) {
        if (!perms[i].ignored && speaks_for(domain, perms[i].domid))
            return perms[i].allowed;
    }
    return perms[0].allowed;
}

static int digit_of(char c, uint32_t base)
{
    int digit = -1;

    if (c >= '0' && c <= '9')
        digit = c - '0';
    else if (c >= 'a' && c <= 'f')
        digit = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
        digit = c - 'A' + 10;
    return digit < (int)base ? digit : -1;
}

/* As strtol reads it with base 0, less signs and spaces: "7", "0x7" and "07" are all 7. */
static bool parse_domid(const char *text, uint32_t *domid)
{
    uint64_t number = 0;
    uint32_t base = 10;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    } else if (text[0] == '0') {
        base = 8;
    }
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        int digit = digit_of(*text, base);

        if (digit < 0)
            return false;
        number = number * base + (uint32_t)digit;
        if (number > UINT32_MAX)
            return false;
    }
    *domid = (uint32_t)number;
    return true;
}

static bool parse(const char *text, struct perm *perm)
{
    for (uint32_t i = 0; i < LETTERS; i++) {
        if (letters[i].letter == text[0]) {
            *perm = (struct perm){.allowed = letters[i].allowed};
            return parse_domid(text + 1, &perm->domid);
        }
    }
    return false;
}

int mock_perms_parse(const char *text, uint32_t length, struct perm *perms, uint32_t count)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (at >= length || !parse(text + at, &perms[i]))
            return XENPV_EINVAL;
        at += (uint32_t)strlen(text + at) + 1;
    }
    return XENPV_OK;
}

static char letter_of(uint8_t allowed)
{
    uint32_t i = 0;

    while (letters[i].allowed != allowed)
        i++;
    return letters[i].letter;
}

uint32_t mock_perms_print(const struct record *record, char *text, uint32_t capacity)
{
    uint32_t length = 0;

    for (uint32_t i = 0; i < record->perms_count; i++) {
        char entry[16] = {letter_of(record->perms[i].allowed), '\0'};
        struct text digits;

        mock_text_start(&digits, entry + 1, sizeof(entry) - 1);
        mock_text_add_number(&digits, record->perms[i].domid);
        for (const char *c = entry;; c++) {
            if (length < capacity)
                text[length] = *c;
            length++;
            if (*c == '\0')
                break;
        }
    }
    return length;
}

int mock_perms_settle(const struct xenpv_mock *mock, struct perm *perms, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        perms[i].ignored = mock_domain(mock, perms[i].domid) == NULL;
    return perms[0].ignored ? XENPV_ENOENT : XENPV_OK;
}

/* In place: for whoever shares the record it is void too. */
static void forget(void *ctx, struct record *record)
{
    const uint32_t *domid = ctx;

    if (record == NULL)
        return;
    if (record->perms[0].domid == *domid)
        record->perms[0].domid = 0;
    for (uint32_t i = 1; i < record->perms_count; i++)
        record->perms[i].ignored = record->perms[i].ignored || record->perms[i].domid == *domid;
}

static void forget_in_transactions(const struct connection *connection, uint32_t domid)
{
    for (struct transaction *t = connection->transactions; t != NULL; t = t->next) {
        for (const struct access *access = t->accesses; access != NULL; access = access->next) {
            forget(&domid, access->first);
            forget(&domid, access->node->record);
        }
    }
}

void mock_perms_forget(struct xenpv_mock *mock, uint32_t domid)
{
    mock_tree_each(mock, forget, &domid);
    forget(&domid, mock->introduce_perms);
    forget(&domid, mock->release_perms);
    for (const struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
        for (const struct connection *c = domain->connections; c != NULL; c = c->next)
            forget_in_transactions(c, domid);
    }
}

int mock_perms_start(struct xenpv_mock *mock)
{
    static const struct perm dom0_only = {.domid = 0};
    struct record *introduce = mock_record(mock, &dom0_only, 1);
    struct record *release = mock_record(mock, &dom0_only, 1);

    if (introduce == NULL || release == NULL) {
        mock_record_drop(mock, introduce);
        mock_record_drop(mock, release);
        return XENPV_ENOMEM;
    }
    mock_record_drop(mock, mock->introduce_perms);
    mock_record_drop(mock, mock->release_perms);
    mock->introduce_perms = introduce;
    mock->release_perms = release;
    return XENPV_OK;
}

struct record **mock_perms_special(struct xenpv_mock *mock, const char *name)
{
    if (strcmp(name, "@introduceDomain") == 0)
        return &mock->introduce_perms;
    return strcmp(name, "@releaseDomain") == 0 ? &mock->release_perms : NULL;
}
