/* SPDX-License-Identifier: MIT */
/* A machine with a vif, our frontend, and whatever plays its backend: for tests of the frontend. */
#ifndef NET_RIG_H
#define NET_RIG_H

#include <string.h>

#include <xenpv/harness/mock.h>
#include <xenpv/net.h>

#define NET_RIG_FRONTEND "/local/domain/1/device/vif/0"

struct net_rig_options {
    uint16_t backend; /* domain */
    uint32_t queues, tx_buffers, rx_buffers, shared_pages, without, headroom;
    uint32_t recover_ms, close_ms;
    bool poll, multicast, untrusted;
    struct xenpv_mock_limits limits;
};

struct net_rig {
    struct xenpv_mock *mock;
    struct xenpv_allocator allocator;
    struct xenpv_port front_port, back_port;
    char backend_path[64];
    uint16_t backend;
    _Atomic int allocated; /* backends may have threads of their own */
    void *memory;
    struct xenpv_net *net;
    struct xenpv_netq *q; /* the first queue */
    uint32_t queues;

    /* Who plays the backend: called by each step. */
    void (*other)(struct net_rig *rig, void *ctx);
    void *other_ctx;
};

void net_rig_up(struct net_rig *rig, const struct net_rig_options *options);
/* The same with a lock around the mock, for threads. */
void net_rig_up_locked(struct net_rig *rig, const struct net_rig_options *options,
                       void (*lock)(void *), void (*unlock)(void *));
/* Makes the vif's directories as libxl does, served by domain `backend`; the other way round. */
void net_rig_make(struct net_rig *rig, uint16_t backend);
void net_rig_remove(struct net_rig *rig);
/* All is given back; but for what the backend has not let go of. */
void net_rig_down(struct net_rig *rig);
void net_rig_down_with_abandoned(struct net_rig *rig);

/* One step of both ends; and so many that nothing is left to do at this time. */
void net_rig_step(struct net_rig *rig);
void net_rig_rest(struct net_rig *rig);
/* Steps, polls what is closing, lets time pass, until the state is reached. */
void net_rig_until(struct net_rig *rig, enum xenpv_net_state state);
void net_rig_connect(struct net_rig *rig);
void net_rig_close(struct net_rig *rig);

/* Sends, submits; the frame is one stretch with no offload. */
int net_rig_send(struct net_rig *rig, const void *bytes, size_t length, void *user);
/* Polls a completion, stepping meanwhile: its status. */
int net_rig_wait(struct net_rig *rig, void **user);

/* Takes the next frame, stepping meanwhile, copies it, and returns it: its bytes. */
uint32_t net_rig_receive(struct net_rig *rig, uint8_t *to, struct xenpv_net_frame *frame);

struct xenpv_net_info net_rig_info(const struct net_rig *rig);

void net_rig_set(struct net_rig *rig, const char *dir, const char *key, const char *value);
/* The store's value of a node as a number, or -1. */
int net_rig_get(struct net_rig *rig, const char *dir, const char *key);

void net_rig_fill(uint8_t *bytes, size_t count, uint32_t seed);

#endif
