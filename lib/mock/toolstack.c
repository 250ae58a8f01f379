/* SPDX-License-Identifier: MIT */
/* What libxl and init scripts of dom0 write to the store. */
#include "mock.h"
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

/* Each of these is one step of a transaction, which the caller settles. */

static int make(struct xenpv_mock *mock, const char *dir, const struct xenpv_mock_perms *perms)
{
    int err = mock_path(dom0(mock), dir, NULL);

    if (err == XENPV_OK)
        err = mock_store_mkdir(dom0(mock), mock->path);
    if (err == XENPV_OK && perms != NULL)
        err = mock_store_set_perms(dom0(mock), mock->path, perms);
    return err;
}

static int write_keys(struct xenpv_mock *mock, const char *dir, const struct key *keys,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(keys[i].value);
        int err = mock_path(dom0(mock), dir, keys[i].name);

        if (err == XENPV_OK && strlen(mock->path) + 1 + length > XENPV_STORE_VALUE_MAX)
            err = XENPV_E2BIG;
        if (err == XENPV_OK)
            err = mock_store_write(dom0(mock), mock->path, keys[i].value, (uint32_t)length);
        if (err != XENPV_OK)
            return err;
    }
    return XENPV_OK;
}

static int remove_node(struct xenpv_mock *mock, const char *path)
{
    int err = mock_path(dom0(mock), path, NULL);

    return err == XENPV_OK ? mock_store_rm(dom0(mock), mock->path) : err;
}

/* Removes a node and, as libxl does, every directory above that is empty then. */
static int clean_up(struct xenpv_mock *mock, const char *path)
{
    struct node *node = mock_tree_find(mock, path);
    int err = XENPV_OK;

    while (err == XENPV_OK && node != NULL && node->parent != NULL) {
        struct node *parent = node->parent;

        mock_tree_path(node, mock->path);
        err = mock_store_rm(dom0(mock), mock->path);
        node = parent->child == NULL ? parent : NULL;
    }
    return err;
}

/* Ends a transaction and answers how it went. */
static int settle(struct xenpv_mock *mock, int err)
{
    mock_store_settle(mock, err == XENPV_OK);
    return err;
}

int mock_toolstack_first_nodes(struct xenpv_mock *mock)
{
    static const struct key keys[] = {{"domid", "0"}, {"name", "Domain-0"}};
    int err = make(mock, "/tool/xenstored", NULL);

    if (err == XENPV_OK)
        err = make(mock, "/vm", NULL);
    if (err == XENPV_OK)
        err = write_keys(mock, "/local/domain/0", keys, sizeof(keys) / sizeof(keys[0]));
    return settle(mock, err);
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

static int make_domain(struct xenpv_mock *mock, uint16_t domid)
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

    int err = remove_node(mock, path);

    if (err == XENPV_OK)
        err = make(mock, path, &read_only);
    if (err == XENPV_OK)
        err = write_keys(mock, path, &(struct key){"domid", number}, 1);
    mock_text_add(&text, "/");
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]) && err == XENPV_OK; i++) {
        struct text tail = text;

        mock_text_add(&tail, directories[i].name);
        err = make(mock, path, directories[i].writable ? &owned : &read_only);
    }
    return err;
}

int mock_toolstack_add_domain(struct xenpv_mock *mock, uint16_t domid)
{
    return settle(mock, make_domain(mock, domid));
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
static int add_device(struct xenpv_mock *mock, uint16_t frontend_id, uint16_t backend_id,
                      const struct device_texts *texts, const struct key *frontend_keys,
                      const struct key *backend_keys)
{
    const struct xenpv_mock_perms frontend_perms = {
        .owner = frontend_id, .domid = backend_id, .allowed = XENPV_MOCK_READ};
    const struct xenpv_mock_perms backend_perms = {
        .owner = backend_id, .domid = frontend_id, .allowed = XENPV_MOCK_READ};
    int err;

    if (mock_domain(mock, frontend_id) == NULL || mock_domain(mock, backend_id) == NULL)
        return XENPV_ENOENT;
    if (mock_tree_find(mock, texts->frontend) != NULL ||
        mock_tree_find(mock, texts->backend) != NULL)
        return XENPV_EEXIST;
    err = make(mock, texts->frontend, &frontend_perms);
    if (err == XENPV_OK)
        err = write_keys(mock, texts->frontend, frontend_keys, count_keys(frontend_keys));
    if (err == XENPV_OK)
        err = make(mock, texts->backend, &backend_perms);
    if (err == XENPV_OK)
        err = write_keys(mock, texts->backend, backend_keys, count_keys(backend_keys));
    return err;
}

static int add_vbd(struct xenpv_mock *mock, const struct xenpv_mock_vbd *vbd,
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

    return add_device(mock, vbd->frontend, vbd->backend, texts, frontend_keys, backend_keys);
}

int xenpv_mock_add_vbd(struct xenpv_mock *mock, const struct xenpv_mock_vbd *vbd)
{
    struct device_texts texts;

    name_device(&texts, "vbd", vbd->frontend, vbd->backend, vbd->vdev);
    mock_lock(mock);

    int err = settle(mock, add_vbd(mock, vbd, &texts));

    mock_unlock(mock);
    return err;
}

static int add_vif(struct xenpv_mock *mock, const struct xenpv_mock_vif *vif,
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
    return add_device(mock, vif->frontend, vif->backend, texts, frontend_keys, backend_keys);
}

int xenpv_mock_add_vif(struct xenpv_mock *mock, const struct xenpv_mock_vif *vif)
{
    struct device_texts texts;

    name_device(&texts, "vif", vif->frontend, vif->backend, vif->number);
    mock_lock(mock);

    int err = settle(mock, add_vif(mock, vif, &texts));

    mock_unlock(mock);
    return err;
}

int xenpv_mock_remove_vbd(struct xenpv_mock *mock, const struct xenpv_mock_vbd *vbd)
{
    struct device_texts texts;

    name_device(&texts, "vbd", vbd->frontend, vbd->backend, vbd->vdev);
    mock_lock(mock);

    int err = clean_up(mock, texts.frontend);

    if (err == XENPV_OK)
        err = clean_up(mock, texts.backend);
    settle(mock, err);
    mock_unlock(mock);
    return err;
}

int xenpv_mock_write(struct xenpv_mock *mock, const char *path, const char *value)
{
    mock_lock(mock);

    int err = settle(mock, write_keys(mock, path, &(struct key){NULL, value}, 1));

    mock_unlock(mock);
    return err;
}

int xenpv_mock_read(struct xenpv_mock *mock, const char *path, char *value, uint32_t capacity)
{
    uint32_t length = 0;

    if (capacity == 0)
        return XENPV_EINVAL;
    mock_lock(mock);

    int err = mock_path(dom0(mock), path, NULL);

    if (err == XENPV_OK)
        err = mock_store_read(dom0(mock), mock->path, value, capacity - 1, &length);
    mock_unlock(mock);
    value[length < capacity ? length : capacity - 1] = '\0';
    return err;
}

int xenpv_mock_rm(struct xenpv_mock *mock, const char *path)
{
    mock_lock(mock);

    int err = settle(mock, remove_node(mock, path));
    mock_unlock(mock);
    return err;
}

int xenpv_mock_set_perms(struct xenpv_mock *mock, const char *path,
                         const struct xenpv_mock_perms *perms)
{
    mock_lock(mock);

    int err = mock_path(dom0(mock), path, NULL);

    if (err == XENPV_OK)
        err = settle(mock, mock_store_set_perms(dom0(mock), mock->path, perms));
    mock_unlock(mock);
    return err;
}
