/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The flow table (bpf/abi/flow_table.h). A place has one number here, from 0; in results SL_NO_PLACE says that there is
 * none. */
#ifndef SLUICE_FLOW_TABLE_BPF_H
#define SLUICE_FLOW_TABLE_BPF_H

#include "bpf/lib/account.bpf.h"
#include "bpf/lib/flow_hash.h"

/* Set by the loader. */
const volatile __u32 flow_bucket_count = 1;

#define SL_NO_PLACE (~(__u32)0)

static __always_inline __u32 sl_hash_of(const struct sl_flow_key* key) {
  const struct sl_settings* agent = sl_settings_in_force();
  return agent ? sl_flow_hash(agent->hash_seeds, key) : 0;
}

static __always_inline struct sl_flow_bucket* sl_bucket_at(__u32 index) {
  return bpf_map_lookup_elem(&flow_buckets, &index);
}

static __always_inline struct sl_flow* sl_flow_at(__u32 place) { return bpf_map_lookup_elem(&flows, &place); }

static __always_inline struct sl_flow_entry* sl_entry_at(__u32 place) {
  struct sl_flow* flow = place == SL_NO_PLACE ? 0 : sl_flow_at(place);
  if (!flow) return 0;
  barrier_var(flow); /* the compiler would add before the check, which the verifier refuses */
  return &flow->entry;
}

/* By SL_FLOW_WAYS: BPF's division is the processor's. */
static __always_inline __u32 sl_bucket_of_place(__u32 place) { return (__u64)place * 0x88888889 >> 35; }

/* Null: there is no such place. */
static __always_inline __u32* sl_tag_at(__u32 place) {
  const __u32 index = sl_bucket_of_place(place);
  const __u32 way = place - index * SL_FLOW_WAYS;
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!bucket || way >= SL_FLOW_WAYS) return 0;
  barrier_var(bucket); /* likewise */
  return &bucket->tags[way];
}

static __always_inline __u32 sl_read_tag(const __u32* tag) { return *(const volatile __u32*)tag; }

/* Between a read of the tag and one of its flow. x86 keeps reads in order; elsewhere it takes an atomic operation that
 * returns something, as BPF has no other barrier. `word` is left as it is. */
static __always_inline void sl_read_barrier(__u32* word) {
#ifdef __TARGET_ARCH_x86
  (void)word;
  barrier();
#else
  if (__sync_fetch_and_or(word, 0)) barrier();
#endif
}

static __always_inline int sl_is_key(const struct sl_flow_key* a, const struct sl_flow_key* b) {
  const __u64 *p = (const __u64*)a, *q = (const __u64*)b;
  return p[4] == q[4] && p[1] == q[1] && p[3] == q[3] && p[0] == q[0] && p[2] == q[2];
}

#define SL_FLOW_ALLOWED (SL_FLOW_STATE_MASK + 1) /* as a state that is looked for: PENDING or ESTABLISHED */

/* Sets a tag that is ours alone, as it says BUSY, after all that was written before. x86 keeps stores in order, and
 * need not wait for them. */
static __always_inline void sl_publish_tag(__u32* tag, __u32 value) {
#ifdef __TARGET_ARCH_x86
  barrier();
  *(volatile __u32*)tag = value;
#else
  __sync_lock_test_and_set(tag, value);
#endif
}

/* Whether a flow with this hash has this tag, in that state. */
static __always_inline int sl_is_tag_in(__u32 tag, __u32 busy, __u32 state) {
  if (state == SL_FLOW_ALLOWED)
    return (tag & ~(__u32)(SL_FLOW_ESTABLISHED ^ SL_FLOW_PENDING)) == (busy | SL_FLOW_PENDING);
  return tag == (busy | state);
}

static __always_inline __u32 sl_home_of(__u32 hash) { return sl_flow_bucket_of(hash, flow_bucket_count); }
static __always_inline __u32 sl_other_home_of(__u32 hash) { return sl_flow_other_bucket_of(hash, flow_bucket_count); }

/* The place of a flow in one bucket. Global, so that the verifier checks it once and not on every path to it. */
__noinline __u32 sl_flow_search_in(__u32 index, const struct sl_flow_key* key, __u32 hash, __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!key || !bucket) return SL_NO_PLACE;
  for (__u32 i = 0; i <= SL_FLOW_WAYS; i++) {
    const __u32 way = i ? i - 1 : sl_flow_way_of(hash);
    if (way >= SL_FLOW_WAYS) continue;
    if (!sl_is_tag_in(sl_read_tag(&bucket->tags[way]), sl_flow_tag_of(hash), state)) continue;
    sl_read_barrier(&bucket->tags[way]);
    const __u32 place = index * SL_FLOW_WAYS + way;
    const struct sl_flow* flow = sl_flow_at(place);
    if (flow && sl_is_key(&flow->key, key)) return place;
  }
  return SL_NO_PLACE;
}

static __always_inline int sl_has_guests(const struct sl_flow_bucket* bucket) {
  return *(const volatile __u32*)&bucket->guests != 0;
}

/* The place of a flow. */
__noinline __u32 sl_flow_search(const struct sl_flow_key* key, __u32 state) {
  if (!key) return SL_NO_PLACE;
  const __u32 hash = sl_hash_of(key);
  const __u32 place = sl_flow_search_in(sl_home_of(hash), key, hash, state);
  const struct sl_flow_bucket* home = sl_bucket_at(sl_home_of(hash));
  if (place != SL_NO_PLACE || state == SL_FLOW_DENIED || !home || !sl_has_guests(home)) return place;
  return sl_flow_search_in(sl_other_home_of(hash), key, hash, state);
}

/* A flow in its place, and what the tag said before it was looked at. */
struct sl_sighting {
  struct sl_flow* flow;
  __u32* tag;
  __u32 tag_seen;
};

static __always_inline __u32 sl_seen_state(const struct sl_sighting* seen) {
  return seen->tag_seen & SL_FLOW_STATE_MASK;
}

/* Whether what was read of the flow since is all its own. */
static __always_inline int sl_still_stands(const struct sl_sighting* seen) {
  sl_read_barrier(seen->tag);
  return sl_read_tag(seen->tag) == seen->tag_seen;
}

/* The flow's tag, in any state but BUSY. */
static __always_inline int sl_is_tag(__u32 tag, __u32 busy) { return (tag ^ busy) - 1 < SL_FLOW_STATE_MASK; }

static __always_inline int sl_has_allowed(const struct sl_flow_bucket* bucket, __u32 busy) {
#pragma clang loop unroll(full)
  for (__u32 way = 0; way < SL_FLOW_WAYS; way++)
    if (sl_is_tag_in(sl_read_tag(&bucket->tags[way]), busy, SL_FLOW_ALLOWED)) return 1;
  return 0;
}

/*
 * As sl_flow_search, inline and for most cases: an allowed flow, or the record where there is none. 1: seen; 0: there
 * is neither; -1: ask sl_flow_search. Which way it is goes through memory (`way_seen`), or the verifier would follow
 * each by itself.
 */
static __always_inline int sl_flow_see(const struct sl_flow_key* key, volatile __u32* way_seen,
                                       struct sl_sighting* seen) {
  const __u32 hash = sl_hash_of(key), index = sl_home_of(hash), busy = sl_flow_tag_of(hash);
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  __u32 way = sl_flow_way_of(hash);
  if (!bucket || way >= SL_FLOW_WAYS) return -1;
  if (!sl_is_tag(sl_read_tag(&bucket->tags[way]), busy)) {
#pragma clang loop unroll(full)
    for (way = 0; way < SL_FLOW_WAYS; way++)
      if (sl_is_tag(sl_read_tag(&bucket->tags[way]), busy)) break;
    if (way == SL_FLOW_WAYS) return sl_has_guests(bucket) ? -1 : 0;
    *way_seen = way;
    way = *way_seen;
    if (way >= SL_FLOW_WAYS) return -1;
  }
  seen->tag = &bucket->tags[way];
  seen->tag_seen = sl_read_tag(seen->tag);
  sl_read_barrier(seen->tag);
  seen->flow = sl_flow_at(index * SL_FLOW_WAYS + way);
  if (!seen->flow || !sl_is_tag(seen->tag_seen, busy) || !sl_is_key(&seen->flow->key, key)) return -1;
  if (sl_seen_state(seen) != SL_FLOW_DENIED) return 1;
  return sl_has_guests(bucket) || sl_has_allowed(bucket, busy) ? -1 : 1;
}

/* Whether the flow still stands in the place where it was found. */
__noinline int sl_flow_stands(const struct sl_flow_key* key, __u32 place) {
  if (!key) return 0;
  __u32* tag = sl_tag_at(place);
  const struct sl_flow* flow = sl_flow_at(place);
  if (!tag || !flow) return 0;
  sl_read_barrier(tag);
  return (sl_read_tag(tag) & SL_FLOW_STATE_MASK) != SL_FLOW_BUSY && sl_is_key(&flow->key, key);
}

/* A flow has left the bucket `index`. */
static __always_inline void sl_count_out(const struct sl_flow_key* key, __u32 index) {
  const __u32 home = sl_home_of(sl_hash_of(key));
  struct sl_flow_bucket* bucket = home == index ? 0 : sl_bucket_at(home);
  if (bucket) __sync_fetch_and_sub(&bucket->guests, 1);
}

/* Takes the flow away that sl_flow_search finds, which ends its record. Returns whether there was one. */
__noinline int sl_flow_forget(const struct sl_flow_key* key, __u32 state) {
  if (!key) return 0;
  const __u32 place = sl_flow_search(key, state);
  __u32* tag = place == SL_NO_PLACE ? 0 : sl_tag_at(place);
  if (!tag) return 0;
  const struct sl_flow* flow = sl_flow_at(place);
  const __u32 was = sl_read_tag(tag), busy = was & ~(__u32)SL_FLOW_STATE_MASK;
  if (!flow || !sl_flow_stands(key, place) || __sync_val_compare_and_swap(tag, was, busy) != was) return 0;
  sl_send_end(&flow->key, &flow->entry);
  sl_count_out(key, sl_bucket_of_place(place));
  sl_publish_tag(tag, 0);
  return 1;
}

static __always_inline int sl_take(struct sl_flow_bucket* bucket, __u32 way, __u32 was, __u32 tag) {
  return __sync_val_compare_and_swap(&bucket->tags[way], was, tag) == was;
}

/* The next way of the bucket whose flow is of that state, from `first` on and around. Global as sl_flow_search. */
__noinline __u32 sl_next_way(__u32 index, __u32 first, __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!bucket) return SL_FLOW_WAYS;
  for (__u32 i = 0; i < SL_FLOW_WAYS; i++) {
    __u32 way = (first + i) % SL_FLOW_WAYS;
    barrier_var(way); /* the verifier wants to see the bound */
    if (way < SL_FLOW_WAYS && (sl_read_tag(&bucket->tags[way]) & SL_FLOW_STATE_MASK) == state) return way;
  }
  return SL_FLOW_WAYS;
}

/* The way of a flow that has to go: of two, the one that was silent for longer. SL_FLOW_WAYS: none is of that state. */
static __always_inline __u32 sl_find_victim(__u32 index, __u32 first, __u32 state) {
  const __u32 one = sl_next_way(index, first, state), other = sl_next_way(index, one + 1, state);
  const struct sl_flow* a = sl_flow_at(index * SL_FLOW_WAYS + one);
  const struct sl_flow* b = sl_flow_at(index * SL_FLOW_WAYS + other);
  return a && b && b->entry.last_seen_ns < a->entry.last_seen_ns ? other : one;
}

/* Makes room in a bucket for a flow of this state. 0: nobody has to make room for it. */
__noinline int sl_flow_evict(__u32 index, __u32 hash, __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  __u32 goes = SL_FLOW_DENIED, way = sl_find_victim(index, sl_flow_way_of(hash), goes);
  if (way >= SL_FLOW_WAYS && state != SL_FLOW_DENIED) {
    goes = SL_FLOW_PENDING;
    way = sl_find_victim(index, sl_flow_way_of(hash), goes);
  }
  if (!bucket || way >= SL_FLOW_WAYS) return 0;
  const __u32 was = sl_read_tag(&bucket->tags[way]);
  if ((was & SL_FLOW_STATE_MASK) != goes || !sl_take(bucket, way, was, was & ~(__u32)SL_FLOW_STATE_MASK)) return 1;
  const struct sl_flow* flow = sl_flow_at(index * SL_FLOW_WAYS + way);
  if (flow) {
    sl_send_end(&flow->key, &flow->entry);
    sl_count_out(&flow->key, index);
  }
  sl_publish_tag(&bucket->tags[way], 0);
  sl_count_event(SL_COUNTER_FLOW_EVICTED);
  return 1;
}

#define SL_TAKE_LAST (SL_FLOW_ALLOWED << 1) /* beside a state: also the bucket's last free place */

/* A free way of the bucket, and not its last one unless that may be had too; SL_FLOW_WAYS: there is none. */
static __always_inline __u32 sl_free_way(const struct sl_flow_bucket* bucket, __u32 hash, int last_too) {
  __u32 found = SL_FLOW_WAYS;
  for (__u32 i = 0; i <= SL_FLOW_WAYS; i++) {
    const __u32 way = i ? i - 1 : sl_flow_way_of(hash);
    if (way >= SL_FLOW_WAYS || way == found || sl_read_tag(&bucket->tags[way])) continue;
    if (last_too) return way;
    if (found != SL_FLOW_WAYS) return found;
    found = way;
  }
  return SL_FLOW_WAYS;
}

/* Puts a flow that has no place into a free one of the bucket. 0: none is to be had. */
__noinline int sl_flow_put_in(__u32 index, const struct sl_flow_key* key, const struct sl_flow_entry* entry, __u32 hash,
                              __u32 state) {
  struct sl_flow_bucket* bucket = sl_bucket_at(index);
  if (!key || !entry || !bucket) return 0;
  const __u32 way = sl_free_way(bucket, hash, state & SL_TAKE_LAST);
  if (way >= SL_FLOW_WAYS || !sl_take(bucket, way, 0, sl_flow_tag_of(hash))) return 0;
  struct sl_flow* flow = sl_flow_at(index * SL_FLOW_WAYS + way);
  if (!flow) return 0;
  flow->key = *key;
  flow->entry = *entry;
  sl_publish_tag(&bucket->tags[way], sl_flow_tag_of(hash) | (state & SL_FLOW_STATE_MASK));
  return 1;
}

/* Counted before it can be found, so that nobody misses it. */
static __always_inline int sl_flow_put_as_guest(const struct sl_flow_key* key, const struct sl_flow_entry* entry,
                                                __u32 hash, __u32 state) {
  struct sl_flow_bucket* home = sl_bucket_at(sl_home_of(hash));
  if (!home || sl_other_home_of(hash) == sl_home_of(hash)) return 0;
  __sync_fetch_and_add(&home->guests, 1);
  if (sl_flow_put_in(sl_other_home_of(hash), key, entry, hash, state)) return 1;
  __sync_fetch_and_sub(&home->guests, 1);
  return 0;
}

/* Puts a flow that has no place into the table. 0: there is no room. */
static __always_inline int sl_flow_put(const struct sl_flow_key* key, const struct sl_flow_entry* entry, __u32 state) {
  const __u32 hash = sl_hash_of(key), home = sl_home_of(hash);
  if (sl_flow_put_in(home, key, entry, hash, state)) return 1;
  if (state != SL_FLOW_DENIED && sl_flow_put_as_guest(key, entry, hash, state)) return 1;
  if (sl_flow_put_in(home, key, entry, hash, state | SL_TAKE_LAST)) return 1;
  return sl_flow_evict(home, hash, state) && sl_flow_put_in(home, key, entry, hash, state | SL_TAKE_LAST);
}

/* A flow that was answered is not evicted any more. 0: the bucket has as many of them as it may. */
__noinline int sl_flow_establish(__u32 place) {
  __u32* tag = sl_tag_at(place);
  struct sl_flow_bucket* bucket = sl_bucket_at(sl_bucket_of_place(place));
  __u32 established = 0;
  if (!tag || !bucket) return 0;
  const __u32 was = sl_read_tag(tag);
  if ((was & SL_FLOW_STATE_MASK) == SL_FLOW_ESTABLISHED) return 1;
  for (__u32 way = 0; way < SL_FLOW_WAYS; way++)
    established += ((sl_read_tag(&bucket->tags[way]) & SL_FLOW_STATE_MASK) + 1) >> 2; /* 1 for ESTABLISHED: no branch */
  if (established >= SL_FLOW_ESTABLISHED_WAYS) return 0;
  if ((was & SL_FLOW_STATE_MASK) == SL_FLOW_PENDING) __sync_val_compare_and_swap(tag, was, was | SL_FLOW_ESTABLISHED);
  return 1;
}

#endif
