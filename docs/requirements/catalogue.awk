# SPDX-License-Identifier: MIT
# Reads the catalogue (*.req, and first of all seeds.txt) and makes, by -v make=
#   check    complaints, one a line; exit status 1 if there is one
#   c        the table of tools/conform/requirement.h
#   pages    -v directory=DIR: a page for each group there, and index.md
#   sources  id and source, one a line
#   counts   entries for each group and level
# Any awk will do: no ranges in regular expressions, no functions of gawk.

BEGIN {
    split("MUST SHOULD DE-FACTO LINUX", levels)
    split("frontend backend both store toolstack hypervisor", roles)
    split("outside white-box", views)
    split("id title level role seen", needed)
    word["MUST"] = "MUST"
    word["SHOULD"] = "SHOULD"
    word["DE-FACTO"] = "DE_FACTO"
    word["LINUX"] = "LINUX"
}

function complain(where, what) {
    print where ": " what > (make == "check" ? "/dev/stdout" : "/dev/stderr")
    complaints++
}

function is_one_of(value, list,    i) {
    for (i in list)
        if (list[i] == value)
            return 1
    return 0
}

# A path in a tree at a version with a quoted anchor, or an advisory.
function is_source(text) {
    return text ~ /^[A-Za-z0-9_.\/-]+ @ [A-Za-z0-9.-]+: "[^"]+"$/ || is_advisory(text)
}
function is_advisory(text) { return text ~ /^(XSA-[0-9]+|CVE-[0-9]+-[0-9]+)$/ }
function is_normative(text) { return text ~ / @ RELEASE-[0-9.]+: / || is_advisory(text) }
# What a named implementation does.
function is_practice(text) { return text !~ /^(xen\/include\/public|docs)\// }

function forget(    key) {
    for (key in field)
        delete field[key]
    body = ""
    body_lines = 0
    sources = 0
    stanza = ""
}

function take_seeds(where, list,    n, seed, i) {
    n = split(list, seed, " ")
    for (i = 1; i <= n; i++) {
        if (!(seed[i] in seeds))
            complain(where, "no such seed: " seed[i])
        covered[seed[i]] = covered[seed[i]] " " field["id"]
    }
}

function check_entry(where,    i, norm, practice) {
    for (i in needed)
        if (!(needed[i] in field))
            complain(where, "no " needed[i])
    if (field["id"] !~ ("^" prefix "-[0-9][0-9][0-9]$"))
        complain(where, "not an id of this group: " field["id"])
    if (field["id"] in line_of)
        complain(where, field["id"] " is also at " line_of[field["id"]])
    else if (field["id"] <= last_id)
        complain(where, field["id"] " comes after " last_id)
    if (!is_one_of(field["level"], levels))
        complain(where, "not a level: " field["level"])
    if (!is_one_of(field["role"], roles))
        complain(where, "not a role: " field["role"])
    if (!is_one_of(field["seen"], views))
        complain(where, "not a way to see it: " field["seen"])
    if (field["title"] ~ /\.$/ || length(field["title"]) > 90 || field["title"] ~ /[`"\\]/)
        complain(where, "a title is one line of plain words without a full stop")
    if (!body_lines || body_lines > 12)
        complain(where, "a text has 1 to 12 lines, not " body_lines)
    if (!sources)
        complain(where, "no source")
    for (i = 1; i <= sources; i++) {
        if (!is_source(source[i]))
            complain(where, "not a source: " source[i])
        norm = norm || is_normative(source[i])
        practice = practice || is_practice(source[i])
    }
    if (field["level"] == "MUST" && sources && !norm)
        complain(where, "a MUST needs Xen's own text at a release, or an advisory")
    if (field["level"] ~ /^(DE-FACTO|LINUX)$/ && sources && !practice)
        complain(where, field["level"] " needs somebody who does so")
}

function end_stanza(    where, i) {
    if (stanza == "")
        return
    where = stanza
    if ("group" in field) {
        if (has_group[FILENAME_of_stanza])
            complain(where, "a second group in a file")
        has_group[FILENAME_of_stanza] = 1
        groups++
        group[groups] = field["group"]
        group_prefix[groups] = prefix = field["prefix"]
        group_title[groups] = field["title"]
        group_body[groups] = body
        last_id = ""
        if (prefix in group_of)
            complain(where, "prefix " prefix " is taken")
        group_of[prefix] = groups
        if (prefix !~ /^[A-Z]+$/ || field["title"] == "" || body == "")
            complain(where, "a group has a prefix, a title and a text")
    } else {
        check_entry(where)
        take_seeds(where, field["seeds"])
        entries++
        id[entries] = last_id = field["id"]
        line_of[field["id"]] = where
        title[entries] = field["title"]
        level[entries] = field["level"]
        role[entries] = field["role"]
        seen[entries] = field["seen"]
        seed_list[entries] = field["seeds"]
        text[entries] = body
        in_group[entries] = groups
        n_sources[entries] = sources
        for (i = 1; i <= sources; i++)
            source_of[entries, i] = source[i]
        count[groups, field["level"]]++
        count_seen[groups, field["seen"]]++
    }
    forget()
}

FNR == 1 {
    end_stanza()
    prefix = "none"
}
length($0) > 100 && !/^source: / { complain(FILENAME ":" FNR, "longer than 100 columns") }
/^#/ { next }
FILENAME ~ /seeds\.txt$/ {
    if (NF > 1) {
        if ($1 in seeds)
            complain(FILENAME ":" FNR, "seed " $1 " is there twice")
        seeds[$1] = FILENAME ":" FNR
        seed_order[++n_seeds] = $1
    }
    next
}
/^$/ {
    end_stanza()
    next
}
/^    [^ ]/ {
    if (stanza == "")
        complain(FILENAME ":" FNR, "text without an entry")
    sub(/^ +/, "")
    body = body_lines++ ? body "\n" $0 : $0
    next
}
/^[a-z]+: [^ ]/ {
    key = $1
    sub(/:$/, "", key)
    value = $0
    sub(/^[a-z]+: /, "", value)
    if (stanza == "") {
        stanza = FILENAME ":" FNR
        FILENAME_of_stanza = FILENAME
    }
    if (key == "source")
        source[++sources] = value
    else if (key !~ /^(id|title|level|role|seen|seeds|group|prefix)$/)
        complain(FILENAME ":" FNR, "no such field: " key)
    else if (key in field)
        complain(FILENAME ":" FNR, key " is there twice")
    else
        field[key] = value
    next
}
{ complain(FILENAME ":" FNR, "neither a field nor text: " $0) }

function c_string(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/"/, "\\\"", text)
    gsub(/\n/, "\\n", text)
    return "\"" text "\""
}
function joined_sources(e,    i, all) {
    all = source_of[e, 1]
    for (i = 2; i <= n_sources[e]; i++)
        all = all "\n" source_of[e, i]
    return all
}

# An id that a text refers to is there.
function check_references(e,    rest, name) {
    rest = text[e]
    while (match(rest, /[A-Z]+-[0-9][0-9][0-9]/)) {
        name = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        if (!(name in line_of) && substr(name, 1, length(name) - 4) in group_of)
            complain(line_of[id[e]], "no such requirement: " name)
    }
}

# Sorted by id, as the table is searched.
function sort_entries(    i, j, x) {
    for (i = 1; i <= entries; i++)
        order[i] = i
    for (i = 2; i <= entries; i++) {
        x = order[i]
        for (j = i - 1; j > 0 && id[order[j]] > id[x]; j--)
            order[j + 1] = order[j]
        order[j + 1] = x
    }
}

function make_c(    i, e) {
    sort_entries()
    print "/* SPDX-License-Identifier: MIT */"
    print "/* Made from docs/requirements/. */"
    print "#include \"conform/requirement.h\"\n"
    print "const struct requirement requirements[] = {"
    for (i = 1; i <= entries; i++) {
        e = order[i]
        print "    {" c_string(id[e]) ", REQUIREMENT_" word[level[e]] ", REQUIREMENT_" \
            toupper(role[e]) ", " (seen[e] == "outside" ? "true" : "false") ","
        print "     " c_string(title[e]) ","
        print "     " c_string(joined_sources(e)) "},"
    }
    print "};"
    print "const unsigned requirements_count = " entries ";"
}

function said(e) {
    return level[e] ", binds " (role[e] == "both" ? "both ends" : "the " role[e]) \
        (seen[e] == "outside" ? "" : "; white-box")
}

function make_page(g,    out, e, i) {
    out = directory "/" group[g] ".md"
    print "<!-- Made by docs/requirements/generate from " group[g] ".req: change that. -->" > out
    print "# " group_title[g] "\n\n" group_body[g] "\n" > out
    print "| id | level | binds | requirement |\n|---|---|---|---|" > out
    for (e = 1; e <= entries; e++)
        if (in_group[e] == g)
            print "| [" id[e] "](#" tolower(id[e]) ") | " level[e] " | " role[e] " | " title[e] " |" > out
    for (e = 1; e <= entries; e++) {
        if (in_group[e] != g)
            continue
        print "\n## " id[e] "\n\n**" title[e] "** (" said(e) ")\n\n" text[e] "\n" > out
        for (i = 1; i <= n_sources[e]; i++)
            print "- Source: " source_of[e, i] > out
        if (seed_list[e] != "")
            print "- Seeds: " seed_list[e] > out
    }
    close(out)
}

function make_index(    out, g, i, e, line) {
    out = directory "/index.md"
    print "<!-- Made by docs/requirements/generate: change the .req files. -->" > out
    print "# All requirements\n" > out
    print "| group | MUST | SHOULD | DE-FACTO | LINUX | of these white-box |" > out
    print "|---|---|---|---|---|---|" > out
    for (g = 1; g <= groups; g++) {
        line = "| [" group_title[g] "](" group[g] ".md) (" group_prefix[g] ") |"
        for (i = 1; i <= 4; i++)
            line = line " " (count[g, levels[i]] + 0) " |"
        print line " " (count_seen[g, "white-box"] + 0) " |" > out
    }
    print "\n" entries " requirements. Which of them a seed led to:\n" > out
    print "| seed | requirements |\n|---|---|" > out
    for (i = 1; i <= n_seeds; i++)
        print "| " seed_order[i] " |" covered[seed_order[i]] " |" > out
    close(out)
}

END {
    end_stanza()
    if (make == "check") {
        for (e = 1; e <= entries; e++)
            check_references(e)
        for (i = 1; i <= n_seeds; i++)
            if (!(seed_order[i] in covered))
                complain(seeds[seed_order[i]], "no requirement covers seed " seed_order[i])
        if (!entries)
            complain("catalogue", "empty")
    } else if (complaints == 0 && make == "c")
        make_c()
    else if (complaints == 0 && make == "pages") {
        for (g = 1; g <= groups; g++)
            make_page(g)
        make_index()
    } else if (make == "sources") {
        for (e = 1; e <= entries; e++)
            for (i = 1; i <= n_sources[e]; i++)
                print id[e] "\t" source_of[e, i]
    } else if (make == "counts") {
        for (g = 1; g <= groups; g++) {
            line = group_prefix[g]
            for (i = 1; i <= 4; i++)
                line = line "\t" levels[i] " " (count[g, levels[i]] + 0)
            print line "\twhite-box " (count_seen[g, "white-box"] + 0)
        }
        print entries
    }
    exit complaints > 0
}
