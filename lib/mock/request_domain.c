/* SPDX-License-Identifier: MIT */
/* Messages about domains, most of them for the toolstack only. */
#include "wire.h"

/* Of CONTROL's commands, those that change nothing here. */
int mock_call_control(struct call *call)
{
    static const struct {
        const char *name;
        uint32_t strings; /* the name included */
    } commands[] = {{"check", 1}, {"log", 2}, {"print", 2}};
    char *strings[2];
    uint32_t count = mock_call_strings(call, strings, 2);

    for (size_t i = 0; count > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(strings[0], commands[i].name) != 0)
            continue;
        if (count != commands[i].strings)
            return XENPV_EINVAL;
        if (i == 1 && strcmp(strings[1], "on") != 0 && strcmp(strings[1], "off") != 0)
            return XENPV_EINVAL;
        return XENPV_OK;
    }
    return XENPV_EINVAL;
}

/* The number of a guest that xenstored knows, as the only string. */
static int one_guest(const struct call *call, struct domain **domain)
{
    const char *string = mock_call_string(call);
    uint32_t domid = string != NULL ? mock_number(string) : 0;

    if (domid == 0)
        return XENPV_EINVAL;
    *domain = mock_domain(call->domain->mock, domid);
    return *domain != NULL && (*domain)->introduced ? XENPV_OK : XENPV_ENOENT;
}

int mock_call_introduce(struct call *call)
{
    char *strings[3];
    struct domain *domain;

    if (mock_call_strings(call, strings, 3) < 3 || (int32_t)mock_number(strings[2]) <= 0)
        return XENPV_EINVAL;
    domain = mock_domain(call->domain->mock, mock_number(strings[0]));
    if (domain == NULL)
        return XENPV_EINVAL; /* nothing to map */
    if (domain->ring != NULL)
        mock_ring_reset(domain->ring);
    if (!domain->introduced)
        mock_store_introduce(domain);
    return XENPV_OK;
}

int mock_call_release(struct call *call)
{
    struct domain *domain;
    int err = one_guest(call, &domain);

    if (err == XENPV_OK)
        err = mock_store_domain_died(domain);
    if (err == XENPV_OK)
        mock_store_domain_left(domain);
    return err;
}

int mock_call_resume(struct call *call)
{
    struct domain *domain;

    return one_guest(call, &domain);
}

int mock_call_set_target(struct call *call)
{
    struct xenpv_mock *mock = call->domain->mock;
    char *strings[2];
    struct domain *domain, *target;

    if (mock_call_strings(call, strings, 2) < 2)
        return XENPV_EINVAL;
    domain = mock_domain(mock, mock_number(strings[0]));
    target = mock_domain(mock, mock_number(strings[1]));
    if (domain == NULL || !domain->introduced || target == NULL || !target->introduced)
        return XENPV_ENOENT;
    domain->has_target = true;
    domain->target = target->domid;
    return XENPV_OK;
}

int mock_call_domain_path(struct call *call)
{
    const char *string = mock_call_string(call);

    if (string == NULL)
        return XENPV_EINVAL;
    mock_path_of_domain(mock_number(string), call->wire->scratch, WIRE_PAYLOAD);
    call->answer = call->wire->scratch;
    call->answer_length = (uint32_t)strlen(call->wire->scratch) + 1;
    return XENPV_OK;
}

int mock_call_introduced(struct call *call)
{
    const char *string = mock_call_string(call);

    if (string == NULL)
        return XENPV_EINVAL;
    call->answer = mock_store_introduced(call->domain->mock, mock_number(string)) ? "T" : "F";
    call->answer_length = 2;
    return XENPV_OK;
}
