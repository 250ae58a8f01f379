/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/blk.h>
#include <xenpv/net.h>

#include "complain.h"
#include "number.h"

const char options_help[] =
    "Options of every command, before or after it:\n"
    "  --port auto|linux|mock   where the devices are: this Xen guest, or a mock of one in this\n"
    "                           process (auto: the guest; the mock if any of it is given)\n"
    "  --mock-disk FILE         put FILE into the mock as a disk, vbd/51712 and on; repeatable\n"
    "  --mock-net loopback|pair|pcap=FILE[,capture=FILE]   put a network card into the mock, "
    "vif/0\n"
    "                           and on, that gets back what it sends, is joined to a neighbour's,\n"
    "                           or receives what is in FILE; all frames go into the other FILE;\n"
    "                           repeatable\n"
    "  --mock-backend KEY=VALUE,...   what the mock's backends offer and do; see the manual\n"
    "  --output text|json       how results are printed (text)\n"
    "  --timeout MS             how long to wait for a peer (30000; 0: for ever)\n"
    "  -v, --verbose            tell on standard error what is going on\n"
    "  -h, --help, --version\n";

struct form_line {
    uint64_t bit;
    const char *text;
};

/* What help says of OPTIONS_FORM, each where a command knows it. */
static const struct form_line form_help[] = {
    {OPTION_QUEUES, "  --queues N               1 to 64 queues (4)\n"},
    {OPTION_RING_ORDER, "  --ring-order N           rings of 2 to the N pages, N 0 to 4 (2)\n"},
    {OPTION_SEGMENTS, "  --segments N             requests of 1 to 4096 pages (64)\n"},
    {OPTION_POLL,
     "  --poll                   look for answers all the time, and receive no events\n"},
    {OPTION_UNITS,
     "  --units 512|sector-size|freebsd|mini-os   what the backend counts in, where its\n"
     "                           sector-size is not 512 (512, as in blkif.h)\n"},
    {OPTION_WITHOUT,
     "  --no-flush, --no-barrier, --no-discard, --no-secure-discard, --no-persistent,\n"
     "  --no-indirect, --no-large-ring, --no-multi-queue   do without what the backend offers\n"},
    {0, NULL},
};

/* The same of OPTIONS_NET_FORM. */
static const struct form_line net_form_help[] = {
    {OPTION_QUEUES, "  --queues N               1 to 64 queues (1)\n"},
    {OPTION_POLL,
     "  --poll                   look for frames all the time, and receive no events\n"},
    {OPTION_NET_WITHOUT,
     "  --no-sg, --no-csum4, --no-csum6, --no-gso4, --no-gso6, --no-rx-notify, --no-split,\n"
     "  --no-multi-queue, --no-control, --no-multicast, --no-dynamic, --no-headroom,\n"
     "  --no-static-grants       do without what the backend offers\n"},
    {0, NULL},
};

/* One option. `take` is given what stands behind it, or NULL where it has no value. */
struct option_spec {
    const char *name;
    bool (*take)(struct command_line *line, const struct option_spec *spec, const char *text);
    size_t field;         /* of struct command_line */
    uint64_t least, most; /* of a number */
    uint64_t bits;        /* OPTION_: a command that has any knows it; 0: all do */
};

/* ------------------------------------------------------------------------------------ values -- */

int options_choose(const char *name, const char *text, const char *const *choices)
{
    char all[96] = "";

    for (int i = 0; choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0)
            return i;
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", choices[i]);
    }
    complain(STATUS_USAGE, "%s: '%s' is none of %s", name, text, all);
    return -1;
}

static void *field(struct command_line *line, const struct option_spec *spec)
{
    return (char *)line + spec->field;
}

static bool take_flag(struct command_line *line, const struct option_spec *spec, const char *text)
{
    (void)text;
    *(bool *)field(line, spec) = true;
    return true;
}

static bool take_text(struct command_line *line, const struct option_spec *spec, const char *text)
{
    *(const char **)field(line, spec) = text;
    return true;
}

static bool take_bytes(struct command_line *line, const struct option_spec *spec, const char *text)
{
    return number_parse(spec->name, text, true, spec->least, spec->most,
                        (uint64_t *)field(line, spec));
}

static bool take_number(struct command_line *line, const struct option_spec *spec, const char *text)
{
    uint64_t number;

    if (!number_parse(spec->name, text, false, spec->least, spec->most, &number))
        return false;
    *(uint32_t *)field(line, spec) = (uint32_t)number;
    return true;
}

static bool take_port(struct command_line *line, const struct option_spec *spec, const char *text)
{
    static const char *const choices[] = {"auto", "linux", "mock", NULL};
    int choice = options_choose(spec->name, text, choices);

    if (choice >= 0)
        line->options.port = (enum port_choice)choice;
    return choice >= 0;
}

static bool take_output(struct command_line *line, const struct option_spec *spec, const char *text)
{
    static const char *const choices[] = {"text", "json", NULL};
    int choice = options_choose(spec->name, text, choices);

    line->options.json = choice == 1;
    return choice >= 0;
}

static bool take_units(struct command_line *line, const struct option_spec *spec, const char *text)
{
    const char *choices[XENPV_UNITS_COUNT + 1] = {NULL};
    int choice;

    for (uint32_t i = 0; i < XENPV_UNITS_COUNT; i++)
        choices[i] = xenpv_blk_units_name(i);
    choice = options_choose(spec->name, text, choices);
    line->options.units = (uint32_t)choice;
    return choice >= 0;
}

static bool take_mock_disk(struct command_line *line, const struct option_spec *spec,
                           const char *text)
{
    (void)spec;
    line->options.mock_disks[line->options.mock_disk_count++] = text;
    return true;
}

static bool take_mock_backend(struct command_line *line, const struct option_spec *spec,
                              const char *text)
{
    (void)spec;
    line->options.mock_backend[line->options.mock_backend_count++] = text;
    return true;
}

static bool take_mock_net(struct command_line *line, const struct option_spec *spec,
                          const char *text)
{
    (void)spec;
    line->options.mock_nets[line->options.mock_net_count++] = text;
    return true;
}

static bool take_hook(struct command_line *line, const struct option_spec *spec, const char *text)
{
    (void)spec;
    line->options.hooks[line->options.hook_count++] = text;
    return true;
}

static bool take_mock_control(struct command_line *line, const struct option_spec *spec,
                              const char *text)
{
    line->options.mock_controls[line->options.mock_control_count++] = text;
    if (strchr(text, '='))
        return true;
    complain(STATUS_USAGE, "%s: '%s' is no PATH=VALUE", spec->name, text);
    return false;
}

/* Which feature of disks or network cards it is, or of both, its name says. */
static bool take_without(struct command_line *line, const struct option_spec *spec,
                         const char *text)
{
    const char *name = spec->name + strlen("--no-");

    (void)text;
    for (uint32_t bit = 0; bit < XENPV_BLK_FEATURES; bit++)
        if (strcmp(name, xenpv_blk_feature_name(bit)) == 0)
            line->options.without |= 1u << bit;
    for (uint32_t bit = 0; bit < XENPV_NET_FEATURES; bit++)
        if (strcmp(name, xenpv_net_feature_name(bit)) == 0)
            line->options.net_without |= 1u << bit;
    return true;
}

/* ----------------------------------------------------------------------------------- options -- */

#define FIELD(member)  offsetof(struct command_line, member)
#define OPTION(member) offsetof(struct command_line, options.member)

static const struct option_spec specs[] = {
    {"--port", take_port, 0, 0, 0, 0},
    {"--mock-disk", take_mock_disk, 0, 0, 0, 0},
    {"--mock-net", take_mock_net, 0, 0, 0, 0},
    {"--mock-backend", take_mock_backend, 0, 0, 0, 0},
    {"--output", take_output, 0, 0, 0, 0},
    {"--timeout", take_number, OPTION(timeout_ms), 0, UINT32_MAX, OPTION_TIMEOUT},
    {"--verbose", take_flag, OPTION(verbose), 0, 0, 0},
    {"--help", take_flag, FIELD(help), 0, 0, 0},
    {"--version", take_flag, FIELD(version), 0, 0, 0},
    {"--offset", take_bytes, OPTION(offset), 0, UINT64_MAX, OPTION_OFFSET},
    {"--length", take_bytes, OPTION(length), 0, UINT64_MAX, OPTION_LENGTH},
    {"--target-offset", take_bytes, OPTION(target_offset), 0, UINT64_MAX, OPTION_TARGET_OFFSET},
    {"--in", take_text, OPTION(in), 0, 0, OPTION_IN},
    {"--out", take_text, OPTION(out), 0, 0, OPTION_OUT},
    {"--all", take_flag, OPTION(all), 0, 0, OPTION_ALL | OPTION_LIST_ALL},
    {"--secure", take_flag, OPTION(secure), 0, 0, OPTION_SECURE},
    {"--budget", take_number, OPTION(budget), 0, UINT32_MAX, OPTION_BUDGET},
    {"--take-over", take_flag, OPTION(take_over), 0, 0, OPTION_TAKE_OVER},
    {"--queues", take_number, OPTION(queues), 1, 64, OPTION_QUEUES},
    {"--ring-order", take_number, OPTION(ring_order), 0, 4, OPTION_RING_ORDER},
    {"--segments", take_number, OPTION(segments), 1, 4096, OPTION_SEGMENTS},
    {"--poll", take_flag, OPTION(poll), 0, 0, OPTION_POLL},
    {"--units", take_units, 0, 0, 0, OPTION_UNITS},
    {"--depth", take_text, OPTION(bench.depths), 0, 0, OPTION_BENCH},
    {"--size", take_text, OPTION(size), 0, 0, OPTION_BENCH | OPTION_SIZE},
    {"--mode", take_text, OPTION(bench.modes), 0, 0, OPTION_BENCH},
    {"--op", take_text, OPTION(bench.ops), 0, 0, OPTION_BENCH_BLK},
    {"--buffer", take_text, OPTION(bench.buffers), 0, 0, OPTION_BENCH_BLK},
    {"--disk", take_text, OPTION(bench.disks), 0, 0, OPTION_BENCH_BLK},
    {"--link", take_text, OPTION(bench.links), 0, 0, OPTION_BENCH_NET},
    {"--direction", take_text, OPTION(bench.directions), 0, 0, OPTION_BENCH_NET},
    {"--gso", take_text, OPTION(bench.gsos), 0, 0, OPTION_BENCH_NET},
    {"--repeats", take_number, OPTION(bench.repeats), 5, 101, OPTION_BENCH},
    {"--time", take_number, OPTION(bench.repeat_ms), 1, 60000, OPTION_BENCH},
    {"--quick", take_flag, OPTION(bench.quick), 0, 0, OPTION_BENCH},
    {"--full", take_flag, OPTION(bench.full), 0, 0, OPTION_BENCH},
    {"--write", take_flag, OPTION(bench.write), 0, 0, OPTION_BENCH_BLK},
    {"--grants", take_number, OPTION(bench.grants), 9, 1u << 22, OPTION_BENCH},
    {"--plot", take_text, OPTION(bench.plot), 0, 0, OPTION_BENCH},
    {"--no-flush", take_without, 0, 0, 0, OPTION_WITHOUT},
    {"--no-barrier", take_without, 0, 0, 0, OPTION_WITHOUT},
    {"--no-discard", take_without, 0, 0, 0, OPTION_WITHOUT},
    {"--no-secure-discard", take_without, 0, 0, 0, OPTION_WITHOUT},
    {"--no-persistent", take_without, 0, 0, 0, OPTION_WITHOUT},
    {"--no-indirect", take_without, 0, 0, 0, OPTION_WITHOUT},
    {"--no-large-ring", take_without, 0, 0, 0, OPTION_WITHOUT},
    {"--no-multi-queue", take_without, 0, 0, 0, OPTION_WITHOUT | OPTION_NET_WITHOUT},
    {"--address", take_text, OPTION(address), 0, 0, OPTION_ADDRESS},
    {"--count", take_number, OPTION(count), 1, UINT32_MAX, OPTION_COUNT},
    {"--interval", take_number, OPTION(interval_ms), 0, 3600000, OPTION_INTERVAL},
    {"--pcap", take_text, OPTION(pcap), 0, 0, OPTION_PCAP},
    {"--duration", take_number, OPTION(duration_s), 1, UINT32_MAX / 1000, OPTION_DURATION},
    {"--rate", take_number, OPTION(rate), 1, 1000000, OPTION_RATE},
    {"--repeat", take_number, OPTION(repeat), 1, UINT32_MAX, OPTION_REPEAT},
    {"--name", take_text, OPTION(name), 0, 0, OPTION_NAME},
    {"--recursive", take_flag, OPTION(recursive), 0, 0, OPTION_RECURSIVE},
    {"--permissions", take_flag, OPTION(permissions), 0, 0, OPTION_STORE_LS},
    {"--paths", take_flag, OPTION(paths), 0, 0, OPTION_STORE_LS},
    {"--raw", take_flag, OPTION(raw), 0, 0, OPTION_RAW},
    {"--tidy", take_flag, OPTION(tidy), 0, 0, OPTION_TIDY},
    {"--upto", take_flag, OPTION(upto), 0, 0, OPTION_UPTO},
    {"--watch-timeout", take_number, OPTION(watch_timeout_ms), 0, UINT32_MAX, OPTION_WATCH},
    {"--watch", take_flag, OPTION(watch), 0, 0, OPTION_LIST_WATCH},
    {"--domain", take_number, OPTION(domain), 0, 0x7fef, OPTION_DOMAIN},
    {"--no-wait", take_flag, OPTION(no_wait), 0, 0, OPTION_NO_WAIT},
    {"--follow", take_flag, OPTION(follow), 0, 0, OPTION_FOLLOW},
    {"--hook", take_hook, 0, 0, 0, OPTION_HOOK},
    {"--active", take_flag, OPTION(active), 0, 0, OPTION_ACTIVE},
    {"--user", take_text, OPTION(user), 0, 0, OPTION_USER},
    {"--mock-control", take_mock_control, 0, 0, 0, OPTION_MOCK_CONTROL},
    {"--no-sg", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-csum4", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-csum6", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-gso4", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-gso6", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-rx-notify", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-split", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-control", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-multicast", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-dynamic", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-headroom", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
    {"--no-static-grants", take_without, 0, 0, 0, OPTION_NET_WITHOUT},
};
#define SPECS (sizeof(specs) / sizeof(specs[0]))
_Static_assert(SPECS <= OPTION_SPECS_MAX, "there is no room for so many options");

/* What getopt answers for an option; letters are below. */
#define LONG 256

static const struct {
    char letter;
    const char *name;
} letters[] = {
    {'f', "--paths"},     {'h', "--help"}, {'n', "--count"}, {'p', "--permissions"},
    {'R', "--recursive"}, {'t', "--tidy"}, {'u', "--upto"},  {'v', "--verbose"},
};
#define LETTERS (sizeof(letters) / sizeof(letters[0]))

static bool has_value(const struct option_spec *spec)
{
    return spec->take != take_flag && spec->take != take_without;
}

static void make_long_options(struct option long_options[SPECS + 1])
{
    memset(long_options, 0, (SPECS + 1) * sizeof(*long_options));
    for (size_t i = 0; i < SPECS; i++) {
        long_options[i].name = specs[i].name + strlen("--");
        long_options[i].has_arg = has_value(&specs[i]) ? required_argument : no_argument;
        long_options[i].val = LONG + (int)i;
    }
}

static const struct option_spec *spec_of_name(const char *name)
{
    for (size_t i = 0; i < SPECS; i++)
        if (strcmp(specs[i].name, name) == 0)
            return &specs[i];
    return NULL;
}

static const struct option_spec *spec_of(int answer)
{
    if (answer >= LONG && answer < LONG + (int)SPECS)
        return &specs[answer - LONG];
    for (size_t i = 0; i < LETTERS; i++)
        if (answer == letters[i].letter)
            return spec_of_name(letters[i].name);
    return NULL;
}

/* As getopt wants them: ":fhn:p..." */
static void make_letters(char text[2 + 2 * LETTERS])
{
    *text++ = ':';
    for (size_t i = 0; i < LETTERS; i++) {
        *text++ = letters[i].letter;
        if (has_value(spec_of_name(letters[i].name)))
            *text++ = ':';
    }
    *text = '\0';
}

static bool take(struct command_line *line, const struct option_spec *spec)
{
    line->options.given |= spec->bits;
    line->options.seen[spec - specs] = true;
    return spec->take(line, spec, optarg);
}

/* ---------------------------------------------------------------------------------- the line -- */

/* After a long option getopt has moved on, to the word behind it; among letters it has not. */
static bool complain_of_option(int answer, char **argv)
{
    const char *word = argv[optind - 1];

    if (answer == ':')
        complain(STATUS_USAGE, "%s: a value is missing", word);
    else if (optopt >= LONG)
        complain(STATUS_USAGE, "%s: this option takes no value", word);
    else if (optopt)
        complain(STATUS_USAGE, "there is no option -%c; see 'xenpv --help'", optopt);
    else
        complain(STATUS_USAGE, "there is no option %s; see 'xenpv --help'", word);
    return false;
}

/* Whatever is put into the mock says where the devices are, unless --port says otherwise. */
static bool settle_port(struct options *options)
{
    const char *mock = options->mock_disk_count      ? "--mock-disk"
                       : options->mock_net_count     ? "--mock-net"
                       : options->mock_backend_count ? "--mock-backend"
                       : options->mock_control_count ? "--mock-control"
                                                     : NULL;

    if (!mock || options->port == PORT_MOCK)
        return true;
    if (options->port == PORT_LINUX) {
        complain(STATUS_USAGE, "%s: there is no mock with --port linux", mock);
        return false;
    }
    options->port = PORT_MOCK;
    return true;
}

bool options_parse(int argc, char **argv, struct command_line *line)
{
    struct option long_options[SPECS + 1];
    char short_options[2 + 2 * LETTERS];
    int answer;

    *line = (struct command_line){.options = {.timeout_ms = 30000}};
    line->options.mock_disks = calloc((size_t)argc + 1, sizeof(*line->options.mock_disks));
    line->options.mock_nets = calloc((size_t)argc + 1, sizeof(*line->options.mock_nets));
    line->options.mock_backend = calloc((size_t)argc + 1, sizeof(*line->options.mock_backend));
    line->options.hooks = calloc((size_t)argc + 1, sizeof(*line->options.hooks));
    line->options.mock_controls = calloc((size_t)argc + 1, sizeof(*line->options.mock_controls));
    if (!line->options.mock_disks || !line->options.mock_nets || !line->options.mock_backend ||
        !line->options.hooks || !line->options.mock_controls) {
        complain(STATUS_ENVIRONMENT, "out of memory");
        return false;
    }
    make_long_options(long_options);
    make_letters(short_options);
    opterr = 0;
    while ((answer = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        const struct option_spec *spec = spec_of(answer);

        if (!spec)
            return complain_of_option(answer, argv);
        if (!take(line, spec))
            return false;
    }
    line->words = argv + optind;
    line->word_count = argc - optind;
    return settle_port(&line->options);
}

bool options_suit(const struct options *options, const struct command *command)
{
    for (size_t i = 0; i < SPECS; i++) {
        uint64_t bits = specs[i].bits;

        if (!options->seen[i] || bits == 0 || (bits & (command->options | OPTION_TIMEOUT)))
            continue;
        complain(STATUS_USAGE, "%s: '%s' has no such option; see 'xenpv help %s'", specs[i].name,
                 command->name, command->name);
        return false;
    }
    return true;
}

static void print_lines(const struct form_line *lines, uint64_t known)
{
    for (; lines->text; lines++)
        if (known & lines->bit)
            printf("%s", lines->text);
    printf("\n");
}

void options_print_form_help(uint64_t known)
{
    bool disks = known & (OPTIONS_FORM & ~OPTIONS_NET_FORM), vifs = known & OPTION_NET_WITHOUT;

    if (known & OPTION_BENCH) /* they are told with its cells, and have other defaults */
        known &= ~(OPTION_QUEUES | OPTION_SEGMENTS);
    if (disks) {
        printf("A disk is vbd/NUMBER, as 'xenpv list' prints it, vbd/NAME, as vbd/xvdb, or "
               "serial:TEXT, its\n"
               "serial number, as 'xenpv info' prints it.\n\n"
               "Options on how a disk is used, at most as far as its backend goes along:\n");
        print_lines(form_help, known);
    }
    if (vifs) {
        printf("A network card is vif/NUMBER, as 'xenpv list' prints it, or mac:ADDRESS, as "
               "mac:00:16:3e:01:02:03.\n\n"
               "Options on how a network card is used, at most as far as its backend goes "
               "along:\n");
        print_lines(net_form_help, known);
    }
}

void options_free(struct command_line *line)
{
    free(line->options.mock_disks);
    free(line->options.mock_nets);
    free(line->options.mock_backend);
    free(line->options.hooks);
    free(line->options.mock_controls);
}
