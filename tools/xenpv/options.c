/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/blk.h>

#include "complain.h"
#include "number.h"

const char options_help[] =
    "Options of every command, before or after it:\n"
    "  --port auto|linux|mock   where the devices are: this Xen guest, or a mock of one in this\n"
    "                           process (auto: the guest; the mock if --mock-disk is given)\n"
    "  --mock-disk FILE         put FILE into the mock as a disk, vbd/51712 and on; repeatable\n"
    "  --mock-backend KEY=VALUE,...   what the mock's backends offer and do; see the manual\n"
    "  --output text|json       how results are printed (text)\n"
    "  --timeout MS             how long to wait for a peer (30000; 0: for ever)\n"
    "  -v, --verbose            tell on standard error what is going on\n"
    "  -h, --help, --version\n";

/* What help says of OPTIONS_FORM, each where a command knows it. */
static const struct {
    unsigned bit;
    const char *text;
} form_help[] = {
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
};

/* One option. `take` is given what stands behind it, or NULL where it has no value. */
struct option_spec {
    const char *name;
    bool (*take)(struct command_line *line, const struct option_spec *spec, const char *text);
    size_t field;         /* of struct command_line */
    uint64_t least, most; /* of a number */
    unsigned bit;         /* OPTION_; 0: every command knows it */
    uint32_t feature;     /* of a --no-FEATURE */
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

static bool take_without(struct command_line *line, const struct option_spec *spec,
                         const char *text)
{
    (void)text;
    line->options.without |= spec->feature;
    return true;
}

/* ----------------------------------------------------------------------------------- options -- */

#define FIELD(member)  offsetof(struct command_line, member)
#define OPTION(member) offsetof(struct command_line, options.member)

static const struct option_spec specs[] = {
    {"--port", take_port, 0, 0, 0, 0, 0},
    {"--mock-disk", take_mock_disk, 0, 0, 0, 0, 0},
    {"--mock-backend", take_mock_backend, 0, 0, 0, 0, 0},
    {"--output", take_output, 0, 0, 0, 0, 0},
    {"--timeout", take_number, OPTION(timeout_ms), 0, UINT32_MAX, 0, 0},
    {"--verbose", take_flag, OPTION(verbose), 0, 0, 0, 0},
    {"--help", take_flag, FIELD(help), 0, 0, 0, 0},
    {"--version", take_flag, FIELD(version), 0, 0, 0, 0},
    {"--offset", take_bytes, OPTION(offset), 0, UINT64_MAX, OPTION_OFFSET, 0},
    {"--length", take_bytes, OPTION(length), 0, UINT64_MAX, OPTION_LENGTH, 0},
    {"--target-offset", take_bytes, OPTION(target_offset), 0, UINT64_MAX, OPTION_TARGET_OFFSET, 0},
    {"--in", take_text, OPTION(in), 0, 0, OPTION_IN, 0},
    {"--out", take_text, OPTION(out), 0, 0, OPTION_OUT, 0},
    {"--all", take_flag, OPTION(all), 0, 0, OPTION_ALL, 0},
    {"--secure", take_flag, OPTION(secure), 0, 0, OPTION_SECURE, 0},
    {"--budget", take_number, OPTION(budget), 0, UINT32_MAX, OPTION_BUDGET, 0},
    {"--take-over", take_flag, OPTION(take_over), 0, 0, OPTION_TAKE_OVER, 0},
    {"--queues", take_number, OPTION(queues), 1, 64, OPTION_QUEUES, 0},
    {"--ring-order", take_number, OPTION(ring_order), 0, 4, OPTION_RING_ORDER, 0},
    {"--segments", take_number, OPTION(segments), 1, 4096, OPTION_SEGMENTS, 0},
    {"--poll", take_flag, OPTION(poll), 0, 0, OPTION_POLL, 0},
    {"--units", take_units, 0, 0, 0, OPTION_UNITS, 0},
    {"--depth", take_text, OPTION(bench.depths), 0, 0, OPTION_BENCH, 0},
    {"--size", take_text, OPTION(bench.sizes), 0, 0, OPTION_BENCH, 0},
    {"--mode", take_text, OPTION(bench.modes), 0, 0, OPTION_BENCH, 0},
    {"--op", take_text, OPTION(bench.ops), 0, 0, OPTION_BENCH, 0},
    {"--buffer", take_text, OPTION(bench.buffers), 0, 0, OPTION_BENCH, 0},
    {"--disk", take_text, OPTION(bench.disks), 0, 0, OPTION_BENCH, 0},
    {"--repeats", take_number, OPTION(bench.repeats), 5, 101, OPTION_BENCH, 0},
    {"--time", take_number, OPTION(bench.repeat_ms), 1, 60000, OPTION_BENCH, 0},
    {"--quick", take_flag, OPTION(bench.quick), 0, 0, OPTION_BENCH, 0},
    {"--full", take_flag, OPTION(bench.full), 0, 0, OPTION_BENCH, 0},
    {"--write", take_flag, OPTION(bench.write), 0, 0, OPTION_BENCH, 0},
    {"--grants", take_number, OPTION(bench.grants), 9, 1u << 22, OPTION_BENCH, 0},
    {"--plot", take_text, OPTION(bench.plot), 0, 0, OPTION_BENCH, 0},
    {"--no-flush", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_FLUSH},
    {"--no-barrier", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_BARRIER},
    {"--no-discard", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_DISCARD},
    {"--no-secure-discard", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_SECURE_DISCARD},
    {"--no-persistent", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_PERSISTENT},
    {"--no-indirect", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_INDIRECT},
    {"--no-large-ring", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_LARGE_RING},
    {"--no-multi-queue", take_without, 0, 0, 0, OPTION_WITHOUT, XENPV_BLK_MULTI_QUEUE},
};
#define SPECS (sizeof(specs) / sizeof(specs[0]))

/* What getopt answers for an option; letters are below. */
#define LONG 256

static int letter_of(const struct option_spec *spec)
{
    if (strcmp(spec->name, "--verbose") == 0)
        return 'v';
    return strcmp(spec->name, "--help") == 0 ? 'h' : 0;
}

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

static const struct option_spec *spec_of(int answer)
{
    for (size_t i = 0; i < SPECS; i++)
        if (answer == LONG + (int)i || answer == letter_of(&specs[i]))
            return &specs[i];
    return NULL;
}

static bool take(struct command_line *line, const struct option_spec *spec)
{
    line->options.given |= spec->bit;
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

/* --mock-disk says where the devices are, unless --port says otherwise. */
static bool settle_port(struct options *options)
{
    bool mock = options->mock_disk_count || options->mock_backend_count;

    if (!mock || options->port == PORT_MOCK)
        return true;
    if (options->port == PORT_LINUX) {
        complain(STATUS_USAGE, "%s: there is no mock with --port linux",
                 options->mock_disk_count ? "--mock-disk" : "--mock-backend");
        return false;
    }
    options->port = PORT_MOCK;
    return true;
}

bool options_parse(int argc, char **argv, struct command_line *line)
{
    struct option long_options[SPECS + 1];
    int answer;

    *line = (struct command_line){.options = {.timeout_ms = 30000}};
    line->options.mock_disks = calloc((size_t)argc + 1, sizeof(*line->options.mock_disks));
    line->options.mock_backend = calloc((size_t)argc + 1, sizeof(*line->options.mock_backend));
    if (!line->options.mock_disks || !line->options.mock_backend) {
        complain(STATUS_ENVIRONMENT, "out of memory");
        return false;
    }
    make_long_options(long_options);
    opterr = 0;
    while ((answer = getopt_long(argc, argv, ":vh", long_options, NULL)) != -1) {
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
    unsigned unknown = options->given & ~command->options;

    for (size_t i = 0; i < SPECS; i++)
        if ((unknown & specs[i].bit) &&
            (specs[i].feature == 0 || (options->without & specs[i].feature))) {
            complain(STATUS_USAGE, "%s: '%s' has no such option; see 'xenpv help %s'",
                     specs[i].name, command->name, command->name);
            return false;
        }
    return true;
}

void options_print_form_help(unsigned known)
{
    if (!(known & OPTIONS_FORM))
        return;
    if (known & OPTION_BENCH) /* they are told with its cells, and have other defaults */
        known &= ~(unsigned)(OPTION_QUEUES | OPTION_SEGMENTS);
    printf(
        "A disk is vbd/NUMBER, as 'xenpv list' prints it, vbd/NAME, as vbd/xvdb, or serial:TEXT, "
        "its\n"
        "serial number, as 'xenpv info' prints it.\n\n"
        "Options on how a disk is used, at most as far as its backend goes along:\n");
    for (size_t i = 0; i < sizeof(form_help) / sizeof(form_help[0]); i++)
        if (known & form_help[i].bit)
            printf("%s", form_help[i].text);
    printf("\n");
}

void options_free(struct command_line *line)
{
    free(line->options.mock_disks);
    free(line->options.mock_backend);
}
