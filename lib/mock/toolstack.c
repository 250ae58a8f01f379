/* SPDX-License-Identifier: MIT */
/* What libxl and init scripts of dom0 write to the store. */
#include "store.h"
#include "text.h"

#define PATH_BYTES   128u
#define NUMBER_BYTES 11u

struct key {
    const char *name;
    const char *value;
};

static struct domain *dom0(struct xenpv_mock *mock)
{
    return mock_domain(mock, 0);
}

/* What it does is done as a whole or not at all. */
static struct transaction begin(struct xenpv_mock *mock)
{
    return (struct transaction){.connection = &dom0(mock)->port};
}

static int end(struct transaction *t, int err)
{
    if (err == XENPV_OK)
        return mock_transaction_commit(t);
    mock_transaction_clear(t);
    return err;
}

/* Each of these is one step of a transaction. */

static int set_perms(struct transaction *t, const struct xenpv_mock_perms *perms)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    struct perm list[2] = {{.domid = perms->owner, .allowed = perms->others},
                           {.domid = perms->domid, .allowed = perms->allowed}};
    bool named = perms->domid != 0 || perms->allowed != XENPV_MOCK_NONE;
    int err = mock_perms_settle(mock, list, named ? 2 : 1);

    return err == XENPV_OK ? mock_store_set_perms(t, mock->path, list, named ? 2 : 1) : err;
}

static int make(struct transaction *t, const char *dir, const struct xenpv_mock_perms *perms)
{
    struct domain *domain = t->connection->domain;
    int err = mock_path(domain, dir, NULL);

    if (err == XENPV_OK)
        err = mock_store_mkdir(t, domain->mock->path);
    if (err == XENPV_OK && perms != NULL)
        err = set_perms(t, perms);
    return err;
}

static int write_keys(struct transaction *t, const char *dir, const struct key *keys,
                      uint32_t count)
{
    struct domain *domain = t->connection->domain;
    const char *path = domain->mock->path;

    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(keys[i].value);
        int err = mock_path(domain, dir, keys[i].name);

        if (err == XENPV_OK && strlen(path) + 1 + length > XENPV_STORE_VALUE_MAX)
            err = XENPV_E2BIG;
        if (err == XENPV_OK)
            err = mock_store_write(t, path, keys[i].value, (uint32_t)length);
        if (err != XENPV_OK)
            return err;
    }
    return XENPV_OK;
}

static int remove_node(struct transaction *t, const char *path)
{
    struct domain *domain = t->connection->domain;
    int err = mock_path(domain, path, NULL);

    return err == XENPV_OK ? mock_store_rm(t, domain->mock->path) : err;
}

/* Removes a node and, as libxl does, every directory above that is empty then. */
static int clean_up(struct transaction *t, const char *path)
{
    char *at = t->connection->domain->mock->path;
    int err = mock_path(t->connection->domain, path, NULL);
    uint32_t length = (uint32_t)strlen(at);
    struct record *record = NULL;

    if (err == XENPV_OK)
        err = mock_transaction_read(t, at, length, &record);
    while (err == XENPV_OK && record != NULL && length > 1) {
        err = mock_store_rm(t, at);
        length = mock_parent_length(at, length);
        at[length] = '\0';
        if (err == XENPV_OK)
            err = mock_transaction_read(t, at, length, &record);
        if (err == XENPV_OK && record->children_length > 0)
            break;
    }
    return err;
}

int mock_toolstack_first_nodes(struct transaction *t)
{
    static const struct key keys[] = {{"domid", "0"}, {"name", "Domain-0"}};
    int err = make(t, "/tool/xenstored", NULL);

    if (err == XENPV_OK)
        err = make(t, "/vm", NULL);
    if (err == XENPV_OK)
        err = write_keys(t, "/local/domain/0", keys, sizeof(keys) / sizeof(keys[0]));
    return err;
}

/* The directories of a new domain that it may write itself, or only read. */
struct directory {
    const char *name;
    bool writable;
};

static const struct directory directories[] = {
    {"cpu", false},
    {"memory", false},
    {"device", false},
    {"device/suspend/event-channel", true},
    {"control", false},
    {"control/shutdown", true},
    {"control/feature-poweroff", true},
    {"control/feature-reboot", true},
    {"control/feature-suspend", true},
    {"control/sysrq", true},
    {"data", true},
    {"drivers", true},
    {"feature", true},
    {"attr", true},
    {"error", true},
};

static int make_domain(struct transaction *t, uint16_t domid)
{
    const struct xenpv_mock_perms read_only = {.domid = domid, .allowed = XENPV_MOCK_READ};
    const struct xenpv_mock_perms owned = {.owner = domid};
    char number[NUMBER_BYTES];
    char path[PATH_BYTES];
    struct text text;

    mock_text_start(&text, number, sizeof(number));
    mock_text_add_number(&text, domid);
    mock_text_start(&text, path, sizeof(path));
    mock_text_add(&text, "/local/domain/");
    mock_text_add(&text, number);

    int err = remove_node(t, path);

    if (err == XENPV_OK)
        err = make(t, path, &read_only);
    if (err == XENPV_OK)
        err = write_keys(t, path, &(struct key){"domid", number}, 1);
    mock_text_add(&text, "/");
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]) && err == XENPV_OK; i++) {
        struct text tail = text;

        mock_text_add(&tail, directories[i].name);
        err = make(t, path, directories[i].writable ? &owned : &read_only);
    }
    return err;
}

int mock_toolstack_add_domain(struct xenpv_mock *mock, uint16_t domid)
{
    struct transaction t = begin(mock);

    return end(&t, make_domain(&t, domid));
}

/* The names and numbers of one virtual device. */
struct device_texts {
    char frontend[PATH_BYTES];
    char backend[PATH_BYTES];
    char frontend_id[NUMBER_BYTES];
    char backend_id[NUMBER_BYTES];
    char number[NUMBER_BYTES];
};

static void write_number(char *buffer, uint32_t number)
{
    struct text text;

    mock_text_start(&text, buffer, NUMBER_BYTES);
    mock_text_add_number(&text, number);
}

static void join(char *path, const char *const *parts, uint32_t count)
{
    struct text text;

    mock_text_start(&text, path, PATH_BYTES);
    for (uint32_t i = 0; i < count; i++)
        mock_text_add(&text, parts[i]);
}

static void name_device(struct device_texts *texts, const char *class_name, uint16_t frontend_id,
                        uint16_t backend_id, uint32_t number)
{
    const char *frontend[] = {"/local/domain/", texts->frontend_id, "/device/", class_name, "/",
                              texts->number};
    const char *backend[] = {
        "/local/domain/", texts->backend_id, "/backend/", class_name, "/", texts->frontend_id, "/",
        texts->number};

    write_number(texts->frontend_id, frontend_id);
    write_number(texts->backend_id, backend_id);
    write_number(texts->number, number);
    join(texts->frontend, frontend, 6);
    join(texts->backend, backend, 8);
}

static uint32_t count_keys(const struct key *keys)
{
    uint32_t count = 0;

    while (keys[count].name)
        count++;
    return count;
}

/* Both directories of a device, with keys that end without a name. */
static int add_device(struct transaction *t, uint16_t frontend_id, uint16_t backend_id,
                      const struct device_texts *texts, const struct key *frontend_keys,
                      const struct key *backend_keys)
{
    const struct xenpv_mock_perms frontend_perms = {
        .owner = frontend_id, .domid = backend_id, .allowed = XENPV_MOCK_READ};
    const struct xenpv_mock_perms backend_perms = {
        .owner = backend_id, .domid = frontend_id, .allowed = XENPV_MOCK_READ};
    struct xenpv_mock *mock = t->connection->domain->mock;
    struct record *record[2];
    int err;

    if (mock_domain(mock, frontend_id) == NULL || mock_domain(mock, backend_id) == NULL)
        return XENPV_ENOENT;
    err = mock_transaction_read(t, texts->frontend, (uint32_t)strlen(texts->frontend), &record[0]);
    if (err == XENPV_OK)
        err =
            mock_transaction_read(t, texts->backend, (uint32_t)strlen(texts->backend), &record[1]);
    if (err == XENPV_OK && (record[0] != NULL || record[1] != NULL))
        err = XENPV_EEXIST;
    if (err == XENPV_OK)
        err = make(t, texts->frontend, &frontend_perms);
    if (err == XENPV_OK)
        err = write_keys(t, texts->frontend, frontend_keys, count_keys(frontend_keys));
    if (err == XENPV_OK)
        err = make(t, texts->backend, &backend_perms);
    if (err == XENPV_OK)
        err = write_keys(t, texts->backend, backend_keys, count_keys(backend_keys));
    return err;
}

static int add_vbd(struct transaction *t, const struct xenpv_mock_vbd *vbd,
                   const struct device_texts *texts)
{
    const struct key frontend_keys[] = {
        {"backend", texts->backend},
        {"backend-id", texts->backend_id},
        {"state", "1"},
        {"virtual-device", texts->number},
        {"device-type", "disk"},
        {"trusted", "1"},
        {NULL, NULL},
    };
    const struct key backend_keys[] = {
        {"frontend", texts->frontend},
        {"params", vbd->params},
        {"frontend-id", texts->frontend_id},
        {"online", "1"},
        {"removable", "0"},
        {"bootable", "1"},
        {"state", "1"},
        {"dev", texts->number},
        {"type", "phy"},
        {"mode", vbd->readonly ? "r" : "w"},
        {"device-type", "disk"},
        {"discard-enable", "1"},
        {NULL, NULL},
    };

    return add_device(t, vbd->frontend, vbd->backend, texts, frontend_keys, backend_keys);
}

int xenpv_mock_add_vbd(struct xenpv_mock *mock, const struct xenpv_mock_vbd *vbd)
{
    struct device_texts texts;

    name_device(&texts, "vbd", vbd->frontend, vbd->backend, vbd->vdev);
    mock_lock(mock);

    struct transaction t = begin(mock);
    int err = end(&t, add_vbd(&t, vbd, &texts));

    mock_unlock(mock);
    return err;
}

static int add_vif(struct transaction *t, const struct xenpv_mock_vif *vif,
                   const struct device_texts *texts)
{
    char mtu[NUMBER_BYTES];
    const struct key frontend_keys[] = {
        {"backend", texts->backend},
        {"backend-id", texts->backend_id},
        {"handle", texts->number},
        {"mac", vif->mac},
        {"mtu", mtu},
        {"trusted", vif->untrusted ? "0" : "1"},
        {"state", "1"},
        {NULL, NULL},
    };
    const struct key backend_keys[] = {
        {"frontend", texts->frontend},
        {"frontend-id", texts->frontend_id},
        {"handle", texts->number},
        {"mac", vif->mac},
        {"online", "1"},
        {"state", "1"},
        {NULL, NULL},
    };

    write_number(mtu, vif->mtu);
    return add_device(t, vif->frontend, vif->backend, texts, frontend_keys, backend_keys);
}

int xenpv_mock_add_vif(struct xenpv_mock *mock, const struct xenpv_mock_vif *vif)
{
    struct device_texts texts;

    name_device(&texts, "vif", vif->frontend, vif->backend, vif->number);
    mock_lock(mock);

    struct transaction t = begin(mock);
    int err = end(&t, add_vif(&t, vif, &texts));

    mock_unlock(mock);
    return err;
}

int xenpv_mock_remove_vbd(struct xenpv_mock *mock, const struct xenpv_mock_vbd *vbd)
{
    struct device_texts texts;

    name_device(&texts, "vbd", vbd->frontend, vbd->backend, vbd->vdev);
    mock_lock(mock);

    struct transaction t = begin(mock);
    int err = clean_up(&t, texts.frontend);

    if (err == XENPV_OK)
        err = clean_up(&t, texts.backend);
    err = end(&t, err);
    mock_unlock(mock);
    return err;
}

/* These are single operations, as xenstore-write and its like do them. */
static struct transaction begin_one(struct xenpv_mock *mock)
{
    mock_lock(mock);
    return (struct transaction){.connection = &dom0(mock)->port, .direct = true};
}

static int end_one(struct transaction *t, int err)
{
    struct xenpv_mock *mock = t->connection->domain->mock;

    err = end(t, err);
    mock_unlock(mock);
    return err;
}

int xenpv_mock_write(struct xenpv_mock *mock, const char *path, const char *value)
{
    struct transaction t = begin_one(mock);

    return end_one(&t, write_keys(&t, path, &(struct key){NULL, value}, 1));
}

int xenpv_mock_read(struct xenpv_mock *mock, const char *path, char *value, uint32_t capacity)
{
    uint32_t length = 0;
    struct record *record;

    if (capacity == 0)
        return XENPV_EINVAL;

    struct transaction t = begin_one(mock);
    int err = mock_path(dom0(mock), path, NULL);

    if (err == XENPV_OK)
        err = mock_store_get(&t, mock->path, PERM_READ, &record);
    if (err == XENPV_OK) {
        length = record->length < capacity ? record->length : capacity - 1;
        memcpy(value, mock_record_value(record), length);
        err = record->length < capacity ? XENPV_OK : XENPV_E2BIG;
    }
    value[length] = '\0';
    return end_one(&t, err);
}

int xenpv_mock_rm(struct xenpv_mock *mock, const char *path)
{
    struct transaction t = begin_one(mock);

    return end_one(&t, remove_node(&t, path));
}

int xenpv_mock_set_perms(struct xenpv_mock *mock, const char *path,
                         const struct xenpv_mock_perms *perms)
{
    struct transaction t = begin_one(mock);
    int err = mock_path(dom0(mock), path, NULL);

    return end_one(&t, err == XENPV_OK ? set_perms(&t, perms) : err);
}
