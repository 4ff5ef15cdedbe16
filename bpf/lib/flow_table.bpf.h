/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The flow table (bpf/abi/flow_table.h). Slots are numbered from 0 through all buckets; the result SL_NO_SLOT means
 * none. Helper-free, except for the functions that find the table's memory: a test that compiles this file natively
 * defines them before it includes it.
 */
#ifndef SLUICE_FLOW_TABLE_BPF_H
#define SLUICE_FLOW_TABLE_BPF_H

#ifdef __bpf__
#include "bpf/lib/flow_table_maps.bpf.h"
#endif
#include "bpf/lib/flow_hash.h"
#include "bpf/lib/once.h"

#define SL_NO_SLOT (~(__u32)0)
#ifdef __bpf__
#define SL_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SL_UNROLL
#endif

static __always_inline struct sl_flow_entry* sl_entry_at(__u32 slot) {
  struct sl_flow* flow = slot == SL_NO_SLOT ? 0 : sl_flow_at(slot);
  if (!flow) return 0;
  barrier_var(flow); /* else the compiler adds the offset before the null check, which the verifier refuses */
  return &flow->entry;
}

/* slot / SL_FLOW_WAYS as a multiplication: BPF would use the slow division instruction. */
static __always_inline __u32 sl_bucket_of_slot(__u32 slot) { return (__u64)slot * 0x88888889 >> 35; }

/* Null: there is no such slot. */
static __always_inline __u32* sl_tag_at(__u32 slot) {
  const __u32 index = sl_bucket_of_slot(slot);
  const __u32 way = slot - index * SL_FLOW_WAYS;
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!bucket || way >= SL_FLOW_WAYS) return 0;
  barrier_var(bucket); /* as above */
  return &bucket->tags[way];
}

/* Orders reads before it with reads after it, and writes with writes. x86 orders them anyway; elsewhere it takes an
 * atomic operation that returns a value, as BPF has no other barrier. `word` is not changed. */
static __always_inline void sl_memory_barrier(__u32* word) {
#ifdef __TARGET_ARCH_x86
  (void)word;
  barrier();
#else
  if (__sync_fetch_and_or(word, 0)) barrier();
#endif
}

/* Sets a word that only this CPU may set, after all earlier writes (a store-release). On x86 a plain store is
 * enough. */
static __always_inline void sl_publish_tag(__u32* tag, __u32 value) {
#ifdef __TARGET_ARCH_x86
  barrier();
  SL_WRITE_ONCE(*tag, value);
#elif defined(__bpf__)
  __sync_lock_test_and_set(tag, value);
#else
  __atomic_store_n(tag, value, __ATOMIC_RELEASE);
#endif
}

typedef __u64 __attribute__((may_alias)) sl_any_word; /* of any struct */

static __always_inline int sl_is_key(const struct sl_flow_key* a, const struct sl_flow_key* b) {
  const sl_any_word *p = (const sl_any_word*)a, *q = (const sl_any_word*)b;
  return SL_READ_ONCE(p[4]) == q[4] && SL_READ_ONCE(p[1]) == q[1] && SL_READ_ONCE(p[3]) == q[3] &&
         SL_READ_ONCE(p[0]) == q[0] && SL_READ_ONCE(p[2]) == q[2];
}

#define SL_FLOW_ALLOWED (SL_FLOW_MARKS_MASK + 1) /* as a state to search for: PENDING, ESTABLISHED or CLOSING */

/* Whether the tag has this hash's bits (`busy`, from sl_flow_tag_of) and this state. */
static __always_inline int sl_is_tag_in(__u32 tag, __u32 busy, __u32 state) {
  if (state == SL_FLOW_ALLOWED) return (tag & ~(__u32)(SL_FLOW_MARKS_MASK & ~SL_FLOW_PENDING)) == (busy | 1);
  return (tag & ~(__u32)SL_FLOW_HELD) == (busy | state);
}

static __always_inline __u32 sl_primary_bucket_of(__u32 hash) { return sl_flow_bucket_of(hash, flow_bucket_count); }
static __always_inline __u32 sl_secondary_bucket_of(__u32 hash) {
  return sl_flow_other_bucket_of(hash, flow_bucket_count);
}

/* The slot of a flow in one bucket. Global, so that the verifier checks it once and not on every path to it. */
__noinline __u32 sl_flow_search_in(__u32 index, const struct sl_flow_key* key, __u32 hash, __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!key || !bucket) return SL_NO_SLOT;
  for (__u32 i = 0; i <= SL_FLOW_WAYS; i++) {
    const __u32 way = i ? i - 1 : sl_flow_way_of(hash);
    if (way >= SL_FLOW_WAYS) continue;
    if (!sl_is_tag_in(SL_READ_ONCE(bucket->tags[way]), sl_flow_tag_of(hash), state)) continue;
    sl_memory_barrier(&bucket->tags[way]);
    const __u32 slot = index * SL_FLOW_WAYS + way;
    const struct sl_flow* flow = sl_flow_at(slot);
    if (flow && sl_is_key(&flow->key, key)) return slot;
  }
  return SL_NO_SLOT;
}

static __always_inline int sl_has_overflow(const struct sl_flow_bucket* bucket) {
  return SL_READ_ONCE(bucket->overflow) != 0;
}

/* The slot of a flow. */
__noinline __u32 sl_flow_search(const struct sl_flow_key* key, __u32 state) {
  if (!key) return SL_NO_SLOT;
  const __u32 hash = sl_hash_of(key);
  const __u32 slot = sl_flow_search_in(sl_primary_bucket_of(hash), key, hash, state);
  const struct sl_flow_bucket* primary = sl_bucket_at(sl_primary_bucket_of(hash));
  if (slot != SL_NO_SLOT || state == SL_FLOW_DENIED || !primary || !sl_has_overflow(primary)) return slot;
  return sl_flow_search_in(sl_secondary_bucket_of(hash), key, hash, state);
}

/* A flow in its slot, and its tag as it was before the flow was read. */
struct sl_sighting {
  struct sl_flow* flow;
  __u32* tag;
  __u32 tag_seen;
  __u32 slot;
};

/* Includes HELD, so a held flow matches no state. */
static __always_inline __u32 sl_seen_state(const struct sl_sighting* seen) {
  return seen->tag_seen & SL_FLOW_MARKS_MASK;
}

/* Whether everything that was read since belongs to this flow. */
static __always_inline int sl_still_stands(const struct sl_sighting* seen) {
  sl_memory_barrier(seen->tag);
  return SL_READ_ONCE(*seen->tag) == seen->tag_seen;
}

/* The flow's tag, in any state but BUSY. */
static __always_inline int sl_is_tag(__u32 tag, __u32 busy) { return (tag ^ busy) - 1 < SL_FLOW_MARKS_MASK; }

static __always_inline int sl_has_allowed(const struct sl_flow_bucket* bucket, __u32 busy) {
  SL_UNROLL
  for (__u32 way = 0; way < SL_FLOW_WAYS; way++)
    if (sl_is_tag_in(SL_READ_ONCE(bucket->tags[way]), busy, SL_FLOW_ALLOWED)) return 1;
  return 0;
}

/*
 * As sl_flow_search, inline and for most cases: finds an allowed flow, else a denied-flow entry. 1: found; 0: there is
 * neither; -1: use sl_flow_search. The way is spilled to memory (`way_seen`), so that the verifier does not explore one
 * path for each way.
 */
static __always_inline int sl_flow_see(const struct sl_flow_key* key, volatile __u32* way_seen,
                                       struct sl_sighting* seen) {
  const __u32 hash = sl_hash_of(key), index = sl_primary_bucket_of(hash), busy = sl_flow_tag_of(hash);
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  __u32 way = sl_flow_way_of(hash);
  if (!bucket || way >= SL_FLOW_WAYS) return -1;
  if (!sl_is_tag(SL_READ_ONCE(bucket->tags[way]), busy)) {
    SL_UNROLL
    for (way = 0; way < SL_FLOW_WAYS; way++)
      if (sl_is_tag(SL_READ_ONCE(bucket->tags[way]), busy)) break;
    if (way == SL_FLOW_WAYS) return sl_has_overflow(bucket) ? -1 : 0;
    *way_seen = way;
    way = *way_seen;
    if (way >= SL_FLOW_WAYS) return -1;
  }
  seen->tag = &bucket->tags[way];
  seen->tag_seen = SL_READ_ONCE(*seen->tag);
  sl_memory_barrier(seen->tag);
  seen->slot = index * SL_FLOW_WAYS + way;
  seen->flow = sl_flow_at(seen->slot);
  if (!seen->flow || !sl_is_tag(seen->tag_seen, busy) || !sl_is_key(&seen->flow->key, key)) return -1;
  if (sl_seen_state(seen) != SL_FLOW_DENIED) return 1;
  return sl_has_overflow(bucket) || sl_has_allowed(bucket, busy) ? -1 : 1;
}

/* Whether the flow is still in the slot where it was found. */
__noinline int sl_flow_stands(const struct sl_flow_key* key, __u32 slot) {
  if (!key) return 0;
  __u32* tag = sl_tag_at(slot);
  const struct sl_flow* flow = sl_flow_at(slot);
  if (!tag || !flow) return 0;
  sl_memory_barrier(tag);
  return (SL_READ_ONCE(*tag) & SL_FLOW_STATE_MASK) != SL_FLOW_BUSY && sl_is_key(&flow->key, key);
}

static __always_inline int sl_take(struct sl_flow_bucket* bucket, __u32 way, __u32 was, __u32 tag) {
  return __sync_val_compare_and_swap(&bucket->tags[way], was, tag) == was;
}

/*
 * Sets HELD in the flow's tag, if the flow is still in the slot: then it stays there, and only the holder may change
 * fields that belong together. Returns the earlier tag; 0: another CPU or the agent holds it, or it is gone.
 */
__noinline __u32 sl_flow_hold(const struct sl_flow_key* key, __u32 slot) {
  __u32* tag = sl_tag_at(slot);
  const struct sl_flow* flow = sl_flow_at(slot);
  if (!key || !tag || !flow) return 0;
  const __u32 was = SL_READ_ONCE(*tag);
  if ((was & SL_FLOW_STATE_MASK) == SL_FLOW_BUSY || (was & SL_FLOW_HELD)) return 0;
  if (__sync_val_compare_and_swap(tag, was, was | SL_FLOW_HELD) != was) return 0;
  if (sl_is_key(&flow->key, key)) return was;
  sl_publish_tag(tag, was);
  return 0;
}

/* Ends the hold. `tag_value`: the result of sl_flow_hold, perhaps with a new state. */
static __always_inline void sl_flow_release(__u32 slot, __u32 tag_value) {
  __u32* tag = sl_tag_at(slot);
  if (tag) sl_publish_tag(tag, tag_value);
}

/* Adds to the number of flows in the owner's share and in the total. */
static __always_inline void sl_share_add(__u32 owner, __s64 more) {
  __u64* all = sl_share_at(0);
  __u64* own = owner ? sl_share_at(owner) : 0;
  if (all) __sync_fetch_and_add(all, more);
  if (own) __sync_fetch_and_add(own, more);
}

/* A share that was counted too low falls below 0 when its flows end: it then counts as 0. */
static __always_inline __s64 sl_share_of_flows(__u32 number) {
  const __u64* share = sl_share_at(number);
  const __s64 flows = share ? (__s64)SL_READ_ONCE(*share) : 0;
  return flows < 0 ? 0 : flows;
}

static __always_inline __s64 sl_flows_of(__u32 owner) { return owner ? sl_share_of_flows(owner) : 0; }

static __always_inline int sl_is_over_share(__u32 owner) {
  return owner && sl_share_of_flows(0) + sl_flows_of(owner) >= (__s64)flow_share_slots;
}

/* From this fill on, flows that the node opens count in the receiver's share: a client could make the node connect to
 * pods and so fill the table. */
static __always_inline int sl_is_mostly_full(void) { return sl_share_of_flows(0) >= (__s64)flow_share_slots / 4 * 3; }

/* Counts a flow out that leaves its slot in bucket `index`. The caller holds the slot. */
static __always_inline void sl_count_out(const struct sl_flow* flow, __u32 index, __u32 state) {
  const __u32 primary = sl_primary_bucket_of(sl_hash_of(&flow->key));
  struct sl_flow_bucket* bucket = primary == index ? 0 : sl_bucket_at(primary);
  if (bucket) __sync_fetch_and_sub(&bucket->overflow, 1);
  if (state != SL_FLOW_DENIED) sl_share_add(flow->entry.owner, -1);
}

/* The same for a removal by the packet path, which also sends the END event. */
static __always_inline void sl_flow_leaves(const struct sl_flow* flow, __u32 index, __u32 state) {
  sl_send_end(&flow->key, &flow->entry);
  sl_count_out(flow, index, state);
}

/* Removes a flow that was found in this slot and state, if it is still there with this incarnation (0: any). Returns
 * whether it was. */
__noinline int sl_flow_forget_at(const struct sl_flow_key* key, __u32 slot, __u32 state, __u32 incarnation) {
  if (!key) return 0;
  const __u32 was = slot == SL_NO_SLOT ? 0 : sl_flow_hold(key, slot);
  const struct sl_flow* flow = sl_flow_at(slot);
  if (!was || !flow) return 0;
  const int is_it = (!incarnation || flow->entry.incarnation == incarnation) && (was & 1) == (state != SL_FLOW_DENIED);
  if (is_it) sl_flow_leaves(flow, sl_bucket_of_slot(slot), was & SL_FLOW_STATE_MASK);
  sl_flow_release(slot, is_it ? 0 : was);
  return is_it;
}

static __always_inline int sl_flow_forget(const struct sl_flow_key* key, __u32 state) {
  return sl_flow_forget_at(key, sl_flow_search(key, state), state, 0);
}

/* The next way of the bucket with a flow in that state, from `first` on, with wrap-around. Global, as
 * sl_flow_search_in. */
__noinline __u32 sl_next_way(__u32 index, __u32 first, __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!bucket) return SL_FLOW_WAYS;
  for (__u32 i = 0; i < SL_FLOW_WAYS; i++) {
    __u32 way = (first + i) % SL_FLOW_WAYS;
    barrier_var(way); /* the verifier wants to see the bound */
    if (way < SL_FLOW_WAYS && (SL_READ_ONCE(bucket->tags[way]) & SL_FLOW_MARKS_MASK) == state) return way;
  }
  return SL_FLOW_WAYS;
}

/* Whether to evict `b` rather than `a`: its owner has more flows, or it was idle for longer. */
static __always_inline int sl_goes_first(const struct sl_flow* b, const struct sl_flow* a) {
  const __u32 of_a = SL_READ_ONCE(a->entry.owner), of_b = SL_READ_ONCE(b->entry.owner);
  if (of_a != of_b) return sl_flows_of(of_b) > sl_flows_of(of_a);
  return SL_READ_ONCE(b->entry.last_seen_ns) < SL_READ_ONCE(a->entry.last_seen_ns);
}

/* The way of the flow to evict, out of two candidates. SL_FLOW_WAYS: none is in that state. */
static __always_inline __u32 sl_find_victim(__u32 index, __u32 first, __u32 state) {
  const __u32 one = sl_next_way(index, first, state), other = sl_next_way(index, one + 1, state);
  const struct sl_flow* a = sl_flow_at(index * SL_FLOW_WAYS + one);
  const struct sl_flow* b = sl_flow_at(index * SL_FLOW_WAYS + other);
  return a && b && one != other && other < SL_FLOW_WAYS && sl_goes_first(b, a) ? other : one;
}

/* Removes the flow at that way, if it is still in that state. */
__noinline int sl_flow_evict_way(__u32 index, __u32 way, __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  const struct sl_flow* flow = sl_flow_at(index * SL_FLOW_WAYS + way);
  if (!bucket || way >= SL_FLOW_WAYS || !flow) return 0;
  const __u32 was = SL_READ_ONCE(bucket->tags[way]);
  if ((was & SL_FLOW_MARKS_MASK) != state || !sl_take(bucket, way, was, was & ~(__u32)SL_FLOW_MARKS_MASK)) return 0;
  sl_flow_leaves(flow, index, state);
  sl_publish_tag(&bucket->tags[way], 0);
  return 1;
}

#define SL_VICTIM(way, state) ((way) | (state) << 8)

/* The flow that a bucket evicts for a new flow of this state, as SL_VICTIM. SL_NO_SLOT: none may be evicted. */
__noinline __u32 sl_flow_victim(__u32 index, __u32 hash, __u32 state) {
  const __u32 first = sl_flow_way_of(hash);
  __u32 goes = SL_FLOW_DENIED, way = SL_FLOW_WAYS;
  if (state != SL_FLOW_DENIED) {
    goes = SL_FLOW_CLOSING;
    way = sl_find_victim(index, first, goes);
  }
  if (way >= SL_FLOW_WAYS) {
    goes = SL_FLOW_DENIED;
    way = sl_find_victim(index, first, goes);
  }
  if (way >= SL_FLOW_WAYS && state != SL_FLOW_DENIED) {
    goes = SL_FLOW_PENDING;
    way = sl_find_victim(index, first, goes);
  }
  return way >= SL_FLOW_WAYS ? SL_NO_SLOT : SL_VICTIM(way, goes);
}

/* The order in which an owner's flows are evicted, the lowest rank first. A time has 59 bits, which are 18 years. */
#define SL_RANK(seen_ns, way, is_closing) ((seen_ns) << 5 | (way) << 1 | (is_closing))
#define SL_NEVER (~(__u64)0) /* its way is SL_FLOW_WAYS */

/* The rank of the flow at that way: a closing one comes before all pending ones. SL_NEVER: it may not be evicted.
 * Global, so that the verifier walks sl_flow_own_victim's loop once for each way, and not once for each set of ways
 * that have such a flow. */
__noinline __u64 sl_flow_own_rank(__u32 index, __u32 way, __u32 owner) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!bucket || way >= SL_FLOW_WAYS) return SL_NEVER;
  const __u32 state = SL_READ_ONCE(bucket->tags[way]) & SL_FLOW_MARKS_MASK;
  if (state != SL_FLOW_PENDING && state != SL_FLOW_CLOSING) return SL_NEVER;
  const struct sl_flow* flow = sl_flow_at(index * SL_FLOW_WAYS + way);
  if (!flow || SL_READ_ONCE(flow->entry.owner) != owner) return SL_NEVER;
  if (state == SL_FLOW_CLOSING) return SL_RANK((__u64)0, way, 1);
  return SL_RANK(SL_READ_ONCE(flow->entry.last_seen_ns), way, 0);
}

/* The same among the owner's own flows: a closing one, else the pending one that was idle longest. */
__noinline __u32 sl_flow_own_victim(__u32 index, __u32 owner) {
  __u64 first = SL_NEVER;
  for (__u32 way = 0; way < SL_FLOW_WAYS; way++) {
    const __u64 rank = sl_flow_own_rank(index, way, owner);
    if (rank < first) first = rank;
  }
  const __u32 way = first >> 1 & 15;
  if (way >= SL_FLOW_WAYS) return SL_NO_SLOT;
  return SL_VICTIM(way, first & 1 ? SL_FLOW_CLOSING : SL_FLOW_PENDING);
}

/* 0: it is gone already, or there was none. */
static __always_inline int sl_flow_evict(__u32 index, __u32 victim) {
  if (victim == SL_NO_SLOT || !sl_flow_evict_way(index, victim & 0xff, victim >> 8)) return 0;
  sl_count_event(SL_COUNTER_FLOW_EVICTED);
  return 1;
}

static __always_inline int sl_flow_evict_own(__u32 index, __u32 owner) {
  return sl_flow_evict(index, sl_flow_own_victim(index, owner));
}

#define SL_TAKE_LAST (SL_FLOW_ALLOWED << 1) /* beside a state: also the bucket's last free slot */

/* A free way of the bucket, the last free one only if `last_too`; SL_FLOW_WAYS: there is none. */
static __always_inline __u32 sl_free_way(const struct sl_flow_bucket* bucket, __u32 hash, int last_too) {
  __u32 found = SL_FLOW_WAYS;
  for (__u32 i = 0; i <= SL_FLOW_WAYS; i++) {
    const __u32 way = i ? i - 1 : sl_flow_way_of(hash);
    if (way >= SL_FLOW_WAYS || way == found || SL_READ_ONCE(bucket->tags[way])) continue;
    if (last_too) return way;
    if (found != SL_FLOW_WAYS) return found;
    found = way;
  }
  return SL_FLOW_WAYS;
}

/* Word by word, as other CPUs may read the slot meanwhile. */
static __always_inline void sl_write_words(void* to, const void* from, __u32 size) {
  sl_any_word* p = (sl_any_word*)to;
  const sl_any_word* q = (const sl_any_word*)from;
  SL_UNROLL
  for (__u32 i = 0; i < size / 8; i++) SL_WRITE_ONCE(p[i], q[i]);
}

/* Puts a flow that has no slot into a free slot of the bucket. 0: none is free. The flow's memory is hardly ever in the
 * cache, and nothing here waits for it: it is only written, and the atomic operations, which wait for all earlier
 * writes, come first. */
__noinline int sl_flow_put_in(__u32 index, const struct sl_flow_key* key, const struct sl_flow_entry* entry, __u32 hash,
                              __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!key || !entry || !bucket) return 0;
  const __u32 way = sl_free_way(bucket, hash, state & SL_TAKE_LAST);
  if (way >= SL_FLOW_WAYS || !sl_take(bucket, way, 0, sl_flow_tag_of(hash))) return 0;
  struct sl_flow* flow = sl_flow_at(index * SL_FLOW_WAYS + way);
  if (!flow) return 0;
  if ((state & SL_FLOW_STATE_MASK) != SL_FLOW_DENIED) sl_share_add(entry->owner, 1);
  sl_write_words(&flow->key, key, sizeof(*key));
  sl_write_words(&flow->entry, entry, sizeof(*entry));
  sl_publish_tag(&bucket->tags[way], sl_flow_tag_of(hash) | (state & SL_FLOW_STATE_MASK));
  return 1;
}

/* The overflow is counted before the flow can be found, so that no search misses it. */
static __always_inline int sl_flow_put_in_overflow(const struct sl_flow_key* key, struct sl_flow_entry* entry,
                                                   __u32 hash, __u32 state) {
  struct sl_flow_bucket* primary = sl_bucket_at(sl_primary_bucket_of(hash));
  if (!primary || sl_secondary_bucket_of(hash) == sl_primary_bucket_of(hash)) return 0;
  __sync_fetch_and_add(&primary->overflow, 1);
  if (sl_flow_put_in(sl_secondary_bucket_of(hash), key, entry, hash, state)) return 1;
  __sync_fetch_and_sub(&primary->overflow, 1);
  return 0;
}

/* Puts a flow that has no slot into the table. 0: there is no room. */
static __always_inline int sl_flow_put(const struct sl_flow_key* key, struct sl_flow_entry* entry, __u32 state) {
  const __u32 hash = sl_hash_of(key), primary = sl_primary_bucket_of(hash);
  if (state != SL_FLOW_DENIED && sl_is_over_share(entry->owner) && !sl_flow_evict_own(primary, entry->owner) &&
      !sl_flow_evict_own(sl_secondary_bucket_of(hash), entry->owner)) {
    sl_count_event(SL_COUNTER_FLOW_OVER_SHARE);
    return 0;
  }
  if (sl_flow_put_in(primary, key, entry, hash, state)) return 1;
  if (state != SL_FLOW_DENIED && sl_flow_put_in_overflow(key, entry, hash, state)) return 1;
  if (sl_flow_put_in(primary, key, entry, hash, state | SL_TAKE_LAST)) return 1;
  const __u32 victim = sl_flow_victim(primary, hash, state);
  sl_flow_evict(primary, victim);
  return victim != SL_NO_SLOT && sl_flow_put_in(primary, key, entry, hash, state | SL_TAKE_LAST);
}

/* Whether the bucket may have one more established flow. */
static __always_inline int sl_may_establish(const struct sl_flow_bucket* bucket) {
  __u32 established = 0;
  for (__u32 way = 0; way < SL_FLOW_WAYS; way++)
    established += (SL_READ_ONCE(bucket->tags[way]) & SL_FLOW_STATE_MASK) == SL_FLOW_ESTABLISHED;
  return established < SL_FLOW_ESTABLISHED_WAYS;
}

/* Changes the state of an allowed flow, if it is still in its slot. 0: the bucket is full of established flows. While
 * another CPU or the agent holds the flow, the state does not change until the next packet. */
__noinline int sl_flow_settle(const struct sl_flow_key* key, __u32 slot, __u32 state) {
  __u32* tag = sl_tag_at(slot);
  struct sl_flow_bucket* bucket = sl_bucket_at(sl_bucket_of_slot(slot));
  if (!tag || !bucket) return 0;
  const __u32 was = SL_READ_ONCE(*tag);
  if ((was & SL_FLOW_STATE_MASK) == state || !(was & SL_FLOW_PENDING) || (was & SL_FLOW_HELD)) return 1;
  if (state == SL_FLOW_ESTABLISHED && !sl_may_establish(bucket)) return 0;
  const __u32 held = sl_flow_hold(key, slot);
  if (held) sl_flow_release(slot, held & SL_FLOW_PENDING ? (held & ~(__u32)SL_FLOW_STATE_MASK) | state : held);
  return 1;
}

#endif
