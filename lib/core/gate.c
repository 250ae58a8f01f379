/* SPDX-License-Identifier: MIT */
#include "gate.h"

void gate_report(struct gate *gate, uint32_t queue, struct xenpv_bus *bus)
{
    const struct gate_violation *violation = &gate->violation;
    char number[21];

    if (xenpv_load_acquire(&gate->broken) == 0 || bus->phase == XENPV_BUS_DONE)
        return;
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = violation->check,
                                  .queue = queue,
                                  .index = violation->index,
                                  .value = violation->value,
                                  .step = "taking a response from the ring",
                                  .expected = xenpv_check_text(violation->check)};
    uint32_t length = xenpv_format_number(violation->value, number);
    xenpv_printable(detail.found, sizeof(detail.found), number, length);
    xenpv_bus_fail(bus, &detail);
    xenpv_store(&gate->broken, 0);
}
