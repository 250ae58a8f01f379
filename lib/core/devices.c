/* SPDX-License-Identifier: MIT */
/* One look goes through the classes, the devices of each, and the two ends of each device. */
#include <xenpv/devices.h>

#define LOOK_AGAIN_MS 500u /* for states that nothing watches */
#define NUMBER_TEXT   24u  /* of a state, of a domain's number */

enum phase { IDLE, CLASSES, IDS, FRONTEND, BACKEND };

struct place {
    bool used;
    bool seen;    /* in the look that is under way, or was last */
    bool told;    /* as added */
    bool renewed; /* it is another device than the one that was told */
    bool watched;
    uint8_t frontend_told, backend_told;
    struct xenpv_device device;
    char watch[XENPV_STORE_PATH_MAX + sizeof("/state")]; /* names its watch, too */
};

struct xenpv_devices {
    struct xenpv_devices_config config;
    struct place *places;
    char *names; /* the classes' list, and behind it that of one class */
    uint32_t classes_length, ids_length;
    uint32_t class_at, id_at; /* where the look stands in either */
    enum phase phase;
    bool watching, dirty, pending;
    bool crowded;   /* in this look something had no room */
    bool unwatched; /* some backend's state has no watch */
    uint64_t look_at;
    struct place *place; /* that is looked at, ... */
    uint32_t id;         /* ... and its number */
    struct xenpv_store_op ops[3];
    struct xenpv_store_batch batch;
    char dir[XENPV_STORE_PATH_MAX + XENPV_DEVICE_CLASS_MAX + sizeof("//4294967295")];
    char state[NUMBER_TEXT], backend_id[NUMBER_TEXT], backend[XENPV_STORE_PATH_MAX];
};

/* ---- text ------------------------------------------------------------------------------------ */

static uint32_t length_of(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    return length;
}

static bool same(const char *a, const char *b)
{
    uint32_t length = length_of(a);

    return length == length_of(b) && memcmp(a, b, length) == 0;
}

static char *append(char *at, const char *text)
{
    uint32_t length = length_of(text);

    memcpy(at, text, length + 1);
    return at + length;
}

/* ---- memory ---------------------------------------------------------------------------------- */

size_t xenpv_devices_size(const struct xenpv_devices_config *config)
{
    if (!config->port || !config->path || config->capacity == 0 || config->names == 0 ||
        config->capacity > XENPV_DEVICES_MAX || config->names > XENPV_DEVICES_NAMES_MAX ||
        length_of(config->path) >= XENPV_STORE_PATH_MAX)
        return 0;
    return sizeof(struct xenpv_devices) + config->capacity * sizeof(struct place) + config->names;
}

int xenpv_devices_init(const struct xenpv_devices_config *config, void *memory, size_t bytes,
                       struct xenpv_devices **devices)
{
    size_t needed = xenpv_devices_size(config);
    struct xenpv_devices *self = memory;

    if (needed == 0 || bytes < needed)
        return XENPV_EINVAL;
    memset(memory, 0, needed);
    self->config = *config;
    self->places = (struct place *)(void *)(self + 1);
    self->names = (char *)(void *)(self->places + config->capacity);
    *devices = self;
    return XENPV_OK;
}

/* ---- places ---------------------------------------------------------------------------------- */

static void unwatch(struct xenpv_devices *self, struct place *place)
{
    const struct xenpv_port *port = self->config.port;

    if (place->watched)
        port->store->unwatch(port->ctx, place->watch, place->watch);
    place->watched = false;
}

/* Without one its state is looked at from time to time. */
static void watch(struct xenpv_devices *self, struct place *place)
{
    const struct xenpv_port *port = self->config.port;

    if (place->watched || place->device.backend[0] == '\0')
        return;
    append(append(place->watch, place->device.backend), "/state");
    place->watched = port->store->watch(port->ctx, place->watch, place->watch) == XENPV_OK;
    self->unwatched |= !place->watched;
}

static struct place *find(struct xenpv_devices *self, const char *class_name, uint32_t id)
{
    struct place *free_one = NULL;

    for (uint32_t i = 0; i < self->config.capacity; i++) {
        struct place *place = &self->places[i];

        if (place->used && place->device.id == id && same(place->device.class_name, class_name))
            return place;
        if (!place->used && !free_one)
            free_one = place;
    }
    if (!free_one)
        return NULL;
    /* Where no look came to its end since, the one before has its watch still. */
    unwatch(self, free_one);
    *free_one = (struct place){.device = {.id = id, .backend_id = XENPV_DEVICE_NO_DOMAIN}};
    append(free_one->device.class_name, class_name);
    return free_one;
}

/* ---- what the store is asked ----------------------------------------------------------------- */

static void ask(struct xenpv_devices *self, enum xenpv_store_type type, const char *name,
                void *value, uint32_t capacity)
{
    self->ops[self->batch.count++] = (struct xenpv_store_op){
        .type = type, .dir = self->dir, .name = name, .value = value, .capacity = capacity};
}

static const char *class_name(const struct xenpv_devices *self)
{
    return self->names + self->class_at;
}

static const char *id_name(const struct xenpv_devices *self)
{
    return self->names + self->classes_length + self->id_at;
}

static void ask_ids(struct xenpv_devices *self)
{
    append(append(append(self->dir, self->config.path), "/"), class_name(self));
    ask(self, XENPV_STORE_LIST, NULL, self->names + self->classes_length,
        self->config.names - self->classes_length);
}

static void ask_frontend(struct xenpv_devices *self)
{
    char *at = append(append(append(self->dir, self->config.path), "/"), class_name(self));

    append(append(at, "/"), id_name(self));
    ask(self, XENPV_STORE_READ, "state", self->state, sizeof(self->state));
    ask(self, XENPV_STORE_READ, "backend-id", self->backend_id, sizeof(self->backend_id));
    ask(self, XENPV_STORE_READ, "backend", self->backend, sizeof(self->backend) - 1);
}

static void put_question(struct xenpv_devices *self)
{
    self->batch = (struct xenpv_store_batch){.ops = self->ops};
    switch (self->phase) {
    case CLASSES:
        append(self->dir, self->config.path);
        ask(self, XENPV_STORE_LIST, NULL, self->names, self->config.names);
        break;
    case IDS:
        ask_ids(self);
        break;
    case FRONTEND:
        ask_frontend(self);
        break;
    default:
        append(self->dir, self->place->device.backend);
        ask(self, XENPV_STORE_READ, "state", self->state, sizeof(self->state));
        break;
    }
}

/* ---- what it answers ------------------------------------------------------------------------- */

static uint8_t state_of(const struct xenpv_store_op *op)
{
    uint64_t number;

    if (op->status == XENPV_E2BIG)
        return XENPV_STATE_JUNK;
    if (op->status)
        return XENPV_STATE_UNKNOWN;
    if (!xenpv_parse_number(op->value, op->length, &number) || number > XENPV_STATE_RECONFIGURED)
        return XENPV_STATE_JUNK;
    return (uint8_t)number;
}

static uint16_t domain_of(const struct xenpv_store_op *op)
{
    uint64_t number;

    if (op->status || !xenpv_parse_number(op->value, op->length, &number) || number > 0x7fef)
        return XENPV_DEVICE_NO_DOMAIN;
    return (uint16_t)number;
}

/* To the next name, from here on, that a class can have. */
static bool find_class(struct xenpv_devices *self)
{
    for (; self->class_at < self->classes_length; self->class_at += length_of(class_name(self)) + 1)
        if (length_of(class_name(self)) < XENPV_DEVICE_CLASS_MAX)
            return true;
    return false;
}

/* The same of a number: device/suspend/event-channel is no device. */
static bool find_id(struct xenpv_devices *self, uint32_t *id)
{
    for (; self->id_at < self->ids_length; self->id_at += length_of(id_name(self)) + 1) {
        uint64_t number;

        if (!xenpv_parse_number(id_name(self), length_of(id_name(self)), &number) ||
            number > UINT32_MAX || (number && *id_name(self) == '0'))
            continue;
        *id = (uint32_t)number;
        return true;
    }
    return false;
}

static void enter_class(struct xenpv_devices *self)
{
    self->phase = find_class(self) ? IDS : IDLE;
}

static void enter_id(struct xenpv_devices *self)
{
    self->phase = FRONTEND;
    if (find_id(self, &self->id))
        return;
    self->class_at += length_of(class_name(self)) + 1;
    enter_class(self);
}

static void leave_id(struct xenpv_devices *self)
{
    self->id_at += length_of(id_name(self)) + 1;
    enter_id(self);
}

/* What has a list's length, 0 for one that is not there; or an error. */
static int take_list(struct xenpv_devices *self, const char *list, uint32_t *length)
{
    const struct xenpv_store_op *op = &self->ops[0];

    *length = 0;
    if (op->status == XENPV_E2BIG)
        self->crowded = true;
    if (op->status == XENPV_E2BIG || op->status == XENPV_ENOENT)
        return XENPV_OK;
    if (op->status == XENPV_OK && op->length && list[op->length - 1] != '\0')
        return XENPV_ESTORE;
    *length = op->status ? 0 : op->length;
    return op->status;
}

/* Other than the place's, it is another device. */
static void take_backend(struct xenpv_devices *self, struct place *place)
{
    const struct xenpv_store_op *op = &self->ops[2];

    self->backend[op->status ? 0 : op->length] = '\0';
    if (same(self->backend, place->device.backend))
        return;
    unwatch(self, place);
    place->renewed = place->told;
    append(place->device.backend, self->backend);
}

/* A directory that has none of its keys is being made, or removed. */
static void take_frontend(struct xenpv_devices *self)
{
    struct place *place;

    self->place = NULL;
    if (self->ops[0].status == XENPV_ENOENT && self->ops[1].status == XENPV_ENOENT &&
        self->ops[2].status == XENPV_ENOENT) {
        leave_id(self);
        return;
    }
    place = self->place = find(self, class_name(self), self->id);
    if (!place) {
        self->crowded = true;
        leave_id(self);
        return;
    }
    take_backend(self, place);
    place->used = place->seen = true;
    place->device.frontend_state = state_of(&self->ops[0]);
    place->device.backend_id = domain_of(&self->ops[1]);
    watch(self, place);
    self->phase = BACKEND;
    if (place->device.backend[0])
        return;
    place->device.backend_state = XENPV_STATE_UNKNOWN;
    leave_id(self);
}

/* A key that is missing, or that nobody lets us see, says so; and a backend may be at no path that
 * there can be. Any other error says nothing. */
static int failure(const struct xenpv_devices *self)
{
    for (uint32_t i = 0; i < self->batch.count; i++) {
        int32_t status = self->ops[i].status;

        if (status != XENPV_OK && status != XENPV_ENOENT && status != XENPV_EACCES &&
            status != XENPV_E2BIG && status != XENPV_EINVAL)
            return status;
    }
    return XENPV_OK;
}

static int take_answer(struct xenpv_devices *self)
{
    int error = failure(self);

    if (error)
        return error;
    switch (self->phase) {
    case CLASSES:
        error = take_list(self, self->names, &self->classes_length);
        self->class_at = 0;
        enter_class(self);
        return error;
    case IDS:
        error = take_list(self, self->names + self->classes_length, &self->ids_length);
        self->id_at = 0;
        enter_id(self);
        return error;
    case FRONTEND:
        take_frontend(self);
        return XENPV_OK;
    default:
        self->place->device.backend_state = state_of(&self->ops[0]);
        leave_id(self);
        return XENPV_OK;
    }
}

/* ---- the look -------------------------------------------------------------------------------- */

/* All that was told, and may be there, is kept. */
static void keep_all(struct xenpv_devices *self)
{
    for (uint32_t i = 0; i < self->config.capacity; i++)
        self->places[i].seen |= self->places[i].told;
}

static int give_up(struct xenpv_devices *self, int error)
{
    keep_all(self);
    self->phase = IDLE;
    self->dirty = true;
    return error;
}

static void begin(struct xenpv_devices *self)
{
    for (uint32_t i = 0; i < self->config.capacity; i++)
        self->places[i].seen = false;
    self->dirty = self->crowded = self->unwatched = false;
    self->phase = CLASSES;
}

static int end(struct xenpv_devices *self, uint64_t now)
{
    self->look_at = now + LOOK_AGAIN_MS;
    if (self->crowded)
        return give_up(self, XENPV_E2BIG);
    for (uint32_t i = 0; i < self->config.capacity; i++)
        if (!self->places[i].seen)
            unwatch(self, &self->places[i]);
    return XENPV_OK;
}

/* All that has fired, so that one look is enough for it. */
static void take_pokes(struct xenpv_devices *self)
{
    const struct xenpv_port *port = self->config.port;

    self->dirty |= port->store->fired(port->ctx, self);
    for (uint32_t i = 0; i < self->config.capacity; i++)
        if (self->places[i].watched)
            self->dirty |= port->store->fired(port->ctx, self->places[i].watch);
}

/* Asks the question, or takes its answer; XENPV_PENDING: there is none yet. */
static int go_on(struct xenpv_devices *self)
{
    const struct xenpv_port *port = self->config.port;
    int answer;

    if (self->pending) {
        answer = port->store->check(port->ctx, &self->batch);
    } else {
        put_question(self);
        answer = port->store->start(port->ctx, &self->batch);
    }
    self->pending = answer == XENPV_PENDING;
    if (answer)
        return answer;
    return self->batch.status ? self->batch.status : take_answer(self);
}

static int look(struct xenpv_devices *self, uint64_t now)
{
    while (self->phase != IDLE) {
        int answer = go_on(self);

        if (answer == XENPV_PENDING)
            return answer;
        if (answer)
            return give_up(self, answer);
    }
    return end(self, now);
}

int xenpv_devices_step(struct xenpv_devices *devices, uint64_t now)
{
    const struct xenpv_port *port = devices->config.port;

    if (!devices->watching) {
        int error = port->store->watch(port->ctx, devices->config.path, devices);

        if (error)
            return error;
        devices->watching = true;
    }
    take_pokes(devices);
    if (devices->phase == IDLE) {
        if (!devices->dirty && now < xenpv_devices_deadline(devices))
            return XENPV_OK;
        begin(devices);
    }
    return look(devices, now);
}

uint64_t xenpv_devices_deadline(const struct xenpv_devices *devices)
{
    return devices->unwatched ? devices->look_at : UINT64_MAX;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static bool tell(struct place *place, struct xenpv_device_event *event)
{
    const struct xenpv_device *device = &place->device;
    uint8_t frontend_before = place->frontend_told, backend_before = place->backend_told;

    *event = (struct xenpv_device_event){
        .device = *device, .frontend_before = frontend_before, .backend_before = backend_before};
    if (place->told && (!place->seen || place->renewed)) {
        event->change = XENPV_DEVICE_REMOVED;
        event->device.frontend_state = frontend_before;
        event->device.backend_state = backend_before;
        place->told = place->renewed = false;
        return true;
    }
    if (place->told && device->frontend_state == frontend_before &&
        device->backend_state == backend_before)
        return false;
    event->change = place->told ? XENPV_DEVICE_CHANGED : XENPV_DEVICE_ADDED;
    place->told = true;
    place->frontend_told = device->frontend_state;
    place->backend_told = device->backend_state;
    return true;
}

bool xenpv_devices_next(struct xenpv_devices *devices, struct xenpv_device_event *event)
{
    for (uint32_t i = 0; devices->phase == IDLE && i < devices->config.capacity; i++) {
        struct place *place = &devices->places[i];

        place->used &= place->seen || place->told;
        if (place->used && tell(place, event))
            return true;
    }
    return false;
}

void xenpv_devices_stop(struct xenpv_devices *devices)
{
    const struct xenpv_port *port = devices->config.port;

    if (devices->pending)
        port->store->cancel(port->ctx, &devices->batch);
    if (devices->watching)
        port->store->unwatch(port->ctx, devices->config.path, devices);
    for (uint32_t i = 0; i < devices->config.capacity; i++) {
        unwatch(devices, &devices->places[i]);
        devices->places[i].used = false;
    }
    devices->watching = devices->pending = devices->unwatched = false;
    devices->phase = IDLE;
}
