/* SPDX-License-Identifier: MIT */
/* Runs the cases in a world: each has fresh connections and an empty directory of its own. */
#include "suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct group *const groups[] = {&basic_group,       &path_group,  &perm_group,
                                             &transaction_group, &watch_group, &special_group,
                                             &limit_group,       &quota_group};

struct run {
    const struct world *world;
    const char *name;
    const struct step *step;
    unsigned number; /* of the step */
    bool bad, own;
    struct connection parties[PARTIES];
    uint32_t transactions[TX_SLOTS];
    struct message answer;
};

static const char *const type_names[] = {
    "CONTROL", "DIRECTORY",  "READ",      "GET_PERMS",     "WATCH",  "UNWATCH",
    "START",   "END",        "INTRODUCE", "RELEASE",       "DOMAIN", "WRITE",
    "MKDIR",   "RM",         "SET_PERMS", "WATCH_EVENT",   "ERROR",  "IS_INTRODUCED",
    "RESUME",  "SET_TARGET", "20",        "RESET_WATCHES", "PART",
};

__attribute__((format(printf, 2, 3))) static void bad(struct run *run, const char *format, ...)
{
    char text[80];
    const struct step *step = run->step;
    const char *payload = step->payload != NULL ? step->payload : "";
    va_list args;

    if (!run->bad)
        printf("not ok - %s: %s\n", run->world->name, run->name);
    run->bad = true;
    printf("#   step %u (%c %s \"%s\"): ", run->number, " ABCDZ"[step->party],
           step -> fill == OP_EVENTS                ? "events"
                   : step->fill == OP_PARTS         ? "PARTS"
                   : step->type < COUNT(type_names) ? type_names[step->type]
                                                    : "?",
           printable(payload, strlen(payload), text, sizeof(text)));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static const struct answer *applying(const struct world *world, const struct answer *answers,
                                     size_t count)
{
    const struct answer *found = NULL;

    for (size_t i = 0; i < count && answers[i].text != NULL; i++) {
        if ((answers[i].where & ~world->where) == 0)
            found = &answers[i];
    }
    return found;
}

static struct connection *connected(struct run *run, enum party party)
{
    struct connection *c = &run->parties[party];

    if (c->link == NULL) {
        memset(c, 0, sizeof(*c));
        c->transport = run->world->transports[party];
        c->link = c->transport->open(run->world->ctx[party], party);
        if (c->link == NULL) {
            printf("Bail out! %s: no connection %u\n", run->world->name, (unsigned)party);
            exit(2);
        }
    }
    return c;
}

static void disconnect(struct connection *c)
{
    if (c->link != NULL)
        c->transport->close(c->link);
    c->link = NULL;
}

/* A request of the runner's own. */
static bool ask(struct run *run, enum party party, uint16_t type, const char *notation)
{
    const struct step step = {.type = type};
    struct connection *c = connected(run, party);
    struct text payload;
    uint32_t id;

    expand(&payload, run->world, notation, NO_INDEX);
    return put_request(c, &step, 0, &payload, &id) == 0 &&
           get_answer(c, id, &run->answer) == ANSWERED && run->answer.header.type == type;
}

static const char *describe(const struct run *run, enum outcome outcome, int error, char *out,
                            size_t room)
{
    static const char *const words[] = {[CLOSED] = "closed",
                                        [SILENT] = "no answer",
                                        [NONSENSE] = "an answer to something else",
                                        [OVERLONG] = "overlong"};
    char text[200];

    if (outcome == REFUSED)
        snprintf(out, room, "send:%d", error);
    else if (outcome != ANSWERED)
        snprintf(out, room, "%s", words[outcome]);
    else
        snprintf(out, room, "%s%s (type %u)", run->answer.header.type == XS_ERROR ? "!" : "=",
                 printable(run->answer.body, run->answer.length, text, sizeof(text)),
                 run->answer.header.type);
    return out;
}

static bool error_is(const struct message *answer, const char *name)
{
    return answer->header.type == XS_ERROR && answer->length == strlen(name) + 1 &&
           strcmp(answer->body, name) == 0;
}

static bool fits(struct run *run, const char *want, enum outcome outcome, int error)
{
    const struct message *answer = &run->answer;
    struct text text;

    if (strcmp(want, "closed") == 0)
        return outcome == CLOSED;
    if (strcmp(want, "overlong") == 0)
        return outcome == OVERLONG;
    if (strncmp(want, "send:", 5) == 0)
        return outcome == REFUSED && error == atoi(want + 5);
    if (outcome != ANSWERED)
        return false;
    if (want[0] == '!')
        return error_is(answer, want + 1);
    if (answer->header.type != run->step->type)
        return false;
    if (strcmp(want, "ok") == 0)
        return answer->length == 3 && memcmp(answer->body, "OK", 3) == 0;
    expand(&text, run->world, want + 1, NO_INDEX);
    return want[0] == '+'   ? true
           : want[0] == '[' ? same_strings(&text, answer->body, answer->length)
                            : text_fits(&text, answer->body, answer->length);
}

/* The expectation that applies; counts those that are not everybody's. */
static const char *wanted(struct run *run)
{
    const struct answer *want = applying(run->world, run->step->wants, COUNT(run->step->wants));

    if (want == NULL)
        return "+";
    run->own |= want->why != NULL;
    return want->text;
}

/* `quiet`: of requests that were sent together, the first that fails is enough. */
static bool check(struct run *run, const char *want, uint32_t tx, enum outcome outcome, int error,
                  bool quiet)
{
    char got[260];

    if (!fits(run, want, outcome, error)) {
        if (!quiet)
            bad(run, "%s, expected %s", describe(run, outcome, error, got, sizeof(got)), want);
        return false;
    }
    if (outcome == ANSWERED && run->answer.header.tx_id != tx) {
        bad(run, "the answer's transaction is %u, not %u", run->answer.header.tx_id, tx);
        return false;
    }
    return true;
}

static uint32_t transaction(const struct run *run)
{
    const struct step *step = run->step;

    if (step->tx == UNKNOWN_TX)
        return 987654321;
    return step->tx != 0 && (step->type != XS_TRANSACTION_START || step->nested)
               ? run->transactions[step->tx]
               : 0;
}

static void do_requests(struct run *run)
{
    const struct step *step = run->step;
    struct connection *c = connected(run, step->party);
    unsigned times = step->times != 0 ? step->times : 1;
    const char *want = wanted(run);
    uint32_t tx = transaction(run), ids[PIPELINED];
    struct text payload;
    unsigned together = run->world->together;
    bool broken = false;

    if (c->closed) {
        bad(run, "the connection is gone");
        return;
    }
    for (unsigned done = 0; done < times && !c->closed && !broken;) {
        unsigned count = times - done < together ? times - done : together;
        int error;

        expand(&payload, run->world, step->payload, NO_INDEX);
        error = times == 1 ? put_request(c, step, tx, &payload, ids)
                           : put_requests(c, run->world, step, tx, done, count, ids);
        for (unsigned i = 0; i < count; i++)
            broken |=
                !check(run, want, tx, error != 0 ? REFUSED : get_answer(c, ids[i], &run->answer),
                       error, broken);
        done += count;
    }
    if (step->type == XS_TRANSACTION_START && tx == 0 && run->answer.header.type == step->type)
        run->transactions[step->tx] = (uint32_t)strtoul(run->answer.body, NULL, 10);
    c->watching |= step->type == XS_WATCH;
    c->barrier &= step->type != XS_RESET_WATCHES;
}

/* All that this connection has been sent is here when its own change comes back to it. */
static bool barrier(struct run *run, enum party party)
{
    struct connection *c = &run->parties[party];
    char watch[] = "/local/domain/%/data/b0|" BARRIER "|", value[] = "/local/domain/%/data/b0|x";

    watch[strlen("/local/domain/%/data/b")] = (char)('0' + party);
    value[strlen("/local/domain/%/data/b")] = (char)('0' + party);
    if (!c->barrier && (!ask(run, party, XS_WATCH, watch) || get_barrier(c) != ANSWERED))
        return false;
    c->barrier = true;
    return ask(run, party, XS_WRITE, value) && get_barrier(c) == ANSWERED;
}

static void do_events(struct run *run, const char *want)
{
    struct connection *c = &run->parties[run->step->party];
    char got[400];
    struct text text;

    if (c->link == NULL || c->closed)
        return;
    if (!barrier(run, run->step->party)) {
        bad(run, "the events have no end; so far %s",
            printable(c->events.bytes, c->events.length, got, sizeof(got)));
        return;
    }
    for (size_t i = 0; i < c->events.length; i++) {
        if (c->events.bytes[i] == '\0')
            c->events.bytes[i] = '|';
    }
    if (strcmp(want, "+") == 0) {
        c->events.length = 0;
        return;
    }
    expand(&text, run->world, want, NO_INDEX);
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] == '\0')
            text.bytes[i] = '|';
    }
    if (text.length > 0)
        text.bytes[text.length++] = ';';
    if (!text_fits(&text, c->events.bytes, c->events.length))
        bad(run, "events %s, expected %s",
            printable(c->events.bytes, c->events.length, got, sizeof(got)), want);
    c->events.length = 0;
}

/* A directory by parts: each begins with the directory's generation, the last has an empty name. */
static void do_parts(struct run *run)
{
    const struct step *step = run->step;
    struct connection *c = connected(run, step->party);
    const struct step request = {.type = XS_DIRECTORY_PART};
    static struct text names;
    struct text payload, wants;
    const char *want = wanted(run);

    names.length = 0;
    for (;;) {
        char notation[256];
        uint32_t id;
        size_t generation;

        snprintf(notation, sizeof(notation), "%s|%zu|", step->payload, names.length);
        expand(&payload, run->world, notation, NO_INDEX);
        if (put_request(c, &request, 0, &payload, &id) != 0 ||
            get_answer(c, id, &run->answer) != ANSWERED ||
            run->answer.header.type != request.type) {
            if (want[0] == '!' && error_is(&run->answer, want + 1))
                return;
            bad(run, "no part at %zu: %s", names.length, run->answer.body);
            return;
        }
        generation = strlen(run->answer.body) + 1;
        if (run->answer.length <= generation || run->answer.body[run->answer.length - 1] != '\0' ||
            names.length + run->answer.length > TEXT_MAX) {
            bad(run, "a part that is none, at %zu", names.length);
            return;
        }
        memcpy(names.bytes + names.length, run->answer.body + generation,
               run->answer.length - generation);
        names.length += run->answer.length - generation;
        if (names.length < 2 || names.bytes[names.length - 2] == '\0')
            break;
    }
    expand(&wants, run->world, want + 1, NO_INDEX);
    if (!same_strings(&wants, names.bytes, names.length - 1))
        bad(run, "%zu bytes of names, expected %s", names.length - 1, want);
}

/* How many nodes below the path belong to the domain. */
static unsigned count_nodes(struct run *run, const char *path)
{
    char owner[16], names[XENSTORE_PAYLOAD_MAX + 1],
        child[XENSTORE_ABS_PATH_MAX + XENSTORE_PAYLOAD_MAX + 2];
    size_t length;
    unsigned found = 0;

    snprintf(child, sizeof(child), "%s|", path);
    if (!ask(run, Z, XS_GET_PERMS, child))
        return 0;
    snprintf(owner, sizeof(owner), "%u", run->world->domid);
    found += strcmp(run->answer.body + 1, owner) == 0;
    if (!ask(run, Z, XS_DIRECTORY, child))
        return found;
    length = run->answer.length;
    memcpy(names, run->answer.body, length + 1);
    for (size_t at = 0; at < length; at += strlen(names + at) + 1) {
        snprintf(child, sizeof(child), "%s/%s", strcmp(path, "/") == 0 ? "" : path, names + at);
        found += count_nodes(run, child);
    }
    return found;
}

static void do_fill(struct run *run)
{
    const struct step *step = run->step;
    struct connection *c = connected(run, step->party);
    const char *want = wanted(run);
    unsigned long limit = strtoul(want, NULL, 10);
    unsigned held = step->fill == OP_FILL_NODES     ? count_nodes(run, "/")
                    : step->fill == OP_FILL_WATCHES ? run->world->watches(run->world->ctx[Z])
                                                    : 0;
    unsigned done = held;
    uint32_t tx = transaction(run), ids[PIPELINED];
    char got[260];
    int error = 0;

    if (done >= limit) {
        bad(run, "%u are there before", held);
        return;
    }
    for (unsigned at = 0, count = 0;; done++, at++) {
        enum outcome outcome = REFUSED;

        /* What is sent together ends before the limit. */
        if (at == count) {
            at = 0;
            count = limit > done ? (unsigned)limit - done : 1;
            count = count < run->world->together ? count : run->world->together;
            error = put_requests(c, run->world, step, tx, done, count, ids);
        }
        if (error == 0)
            outcome = get_answer(c, ids[at], &run->answer);
        /* To look for what is not there counts, too. */
        if (outcome == ANSWERED && done <= limit &&
            (run->answer.header.type == step->type || error_is(&run->answer, "ENOENT")))
            continue;
        if (done != limit || !fits(run, want + strspn(want, "0123456789"), outcome, error))
            bad(run, "%u, %u of them before, then %s; expected %s", done, held,
                describe(run, outcome, error, got, sizeof(got)), want);
        break;
    }
    c->watching |= step->type == XS_WATCH;
}

static void run_case(struct run *run, const struct test_case *c)
{
    static const struct step last = {.party = A, .fill = OP_EVENTS};

    run->name = c->name;
    run->bad = run->own = false;
    run->number = 0;
    run->step = &last;
    ask(run, Z, XS_RM, "$|");
    if (!ask(run, Z, XS_MKDIR, "$|") ||
        ((run->world->where & DOMU) != 0 && !ask(run, Z, XS_SET_PERMS, "$|n%|")))
        bad(run, "no directory for it: %s", run->answer.body);
    for (run->step = c->steps; run->step->party != NOBODY; run->step++) {
        run->number++;
        switch (run->step->fill) {
        case OP_EVENTS:
            do_events(run, wanted(run));
            break;
        case OP_PARTS:
            do_parts(run);
            break;
        case OP_CLOSE:
            disconnect(&run->parties[run->step->party]);
            break;
        case 0:
            do_requests(run);
            break;
        default:
            do_fill(run);
            break;
        }
    }
    for (unsigned party = A; party < PARTIES; party++) {
        struct step end = {.party = (uint8_t)party, .fill = OP_EVENTS};

        run->step = &end;
        if (run->parties[party].watching)
            do_events(run, "");
        disconnect(&run->parties[party]);
    }
}

void run_suite(const struct world *world, const char *only, bool verbose, struct tally *tally)
{
    static struct run run;

    memset(tally, 0, sizeof(*tally));
    run.world = world;
    for (size_t i = 0; i < COUNT(groups); i++) {
        for (size_t k = 0; k < groups[i]->count; k++) {
            const struct test_case *c = &groups[i]->cases[k];
            const struct answer *except = applying(world, c->except, COUNT(c->except));

            if (strstr(c->name, only) == NULL)
                continue;
            tally->cases++;
            if (except != NULL) {
                tally->excepted++;
                printf("# not on %s: %s: %s\n", world->name, c->name, except->why);
                continue;
            }
            run_case(&run, c);
            tally->failed += run.bad;
            tally->passed += !run.bad;
            tally->own += run.own;
            if (verbose && !run.bad)
                printf("ok - %s: %s%s\n", world->name, c->name, run.own ? " (its own answer)" : "");
            fflush(stdout);
        }
    }
}

bool tell(const struct world *world, const struct tally *tally)
{
    bool well = tally->failed == 0 && tally->passed > 0;

    printf("%s - %s of %s: %u cases: %u pass, %u of them with an answer of its own, "
           "%u do not apply, %u fail\n",
           well ? "ok" : "not ok", world->name,
           (world->where & MOCK) != 0         ? "the mock"
           : (world->where & OXENSTORED) != 0 ? "oxenstored"
                                              : "xenstored",
           tally->cases, tally->passed, tally->own, tally->excepted, tally->failed);
    return well;
}
