/* SPDX-License-Identifier: MIT */
/*
 * Events that threads can sleep on. The mock's event channels have no wait handles; here its ports
 * get event calls that set and clear real ones, so that both ends sleep and wake as on a real Xen.
 * The store, the grants and the making of channels stay the mock's.
 */
#ifndef XENPV_BENCH_WAKE_H
#define XENPV_BENCH_WAKE_H

#include <xenpv/port.h>

#define BENCH_WAKE_PORTS 256u

/*
 * Both ports get the calls, and the capability to wait. The backend's channels all ring `doorbell`;
 * XENPV_NO_HANDLE: nobody sleeps, and nothing is rung. One pair at a time, until bench_wake_end;
 * the ports may be copied.
 */
void bench_wake_begin(struct xenpv_port *front, struct xenpv_port *back, xenpv_handle doorbell);
void bench_wake_end(void);

#endif
