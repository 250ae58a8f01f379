/* SPDX-License-Identifier: MIT */
/* The catalogue of docs/requirements/ as a table; docs/requirements/README.md says what it means. */
#ifndef CONFORM_REQUIREMENT_H
#define CONFORM_REQUIREMENT_H

#include <stdbool.h>

enum requirement_level {
    REQUIREMENT_MUST,
    REQUIREMENT_SHOULD,
    REQUIREMENT_DE_FACTO,
    REQUIREMENT_LINUX, /* an extension that only Linux's drivers know */
};

/* Whom it binds. */
enum requirement_role {
    REQUIREMENT_FRONTEND,
    REQUIREMENT_BACKEND,
    REQUIREMENT_BOTH,
    REQUIREMENT_STORE,
    REQUIREMENT_TOOLSTACK,
    REQUIREMENT_HYPERVISOR,
};

struct requirement {
    const char *id; /* "BLK-021" */
    enum requirement_level level;
    enum requirement_role role;
    bool outside;       /* a peer can see whether it is kept; false: only who has the source can */
    const char *title;  /* one line, no full stop */
    const char *source; /* one a line: PATH @ VERSION: "ANCHOR", or an advisory */
};

/* Sorted by id, as strcmp has it. */
extern const struct requirement requirements[];
extern const unsigned requirements_count;

#endif
