#include "kernel/datapath/flow_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "bpf/lib/flow_hash.h"

namespace sluice::datapath {
namespace {

// Mapping a megabyte of flows costs as much as reading 150 flows by a call each.
constexpr std::uint32_t kAtOnce = (1 << 20) / sizeof(sl_flow), kWorthMapping = 150;

// Empty: the slot is free, or being written.
std::optional<FlowState> StateOf(std::uint32_t tag) {
  switch (tag & SL_FLOW_STATE_MASK) {
    case SL_FLOW_PENDING:
      return FlowState::kPending;
    case SL_FLOW_DENIED:
      return FlowState::kDenied;
    case SL_FLOW_ESTABLISHED:
      return FlowState::kEstablished;
    case SL_FLOW_CLOSING:
      return FlowState::kClosing;
    default:
      return std::nullopt;
  }
}

bool IsSameFlow(std::uint32_t tag, std::uint32_t other) {
  return (tag & ~static_cast<std::uint32_t>(SL_FLOW_MARKS_MASK)) ==
         (other & ~static_cast<std::uint32_t>(SL_FLOW_MARKS_MASK));
}

std::atomic_ref<std::uint32_t> TagAt(sl_flow_bucket* buckets, std::uint32_t slot) {
  return std::atomic_ref<std::uint32_t>(buckets[slot / SL_FLOW_WAYS].tags[slot % SL_FLOW_WAYS]);
}

}  // namespace

FlowTable::~FlowTable() {
  if (buckets_ != nullptr) munmap(buckets_, std::size_t{bucket_count_} * sizeof(sl_flow_bucket));
  if (shares_ != nullptr) munmap(shares_, SL_MAX_ENDPOINTS * sizeof(*shares_));
}

Status FlowTable::Bind(const bpf::DatapathObject& object, HashSeeds seeds) {
  std::copy(seeds.begin(), seeds.end(), seeds_.begin());
  using Buckets = bpf::Map<__u32, sl_flow_bucket>;
  SL_ASSIGN_OR_RETURN(const Buckets buckets, Buckets::Bind(object.map_fd("flow_buckets"), "flow_buckets"));
  SL_ASSIGN_OR_RETURN(flows_, decltype(flows_)::Bind(object.map_fd("flows"), "flows"));
  SL_ASSIGN_OR_RETURN(void* const memory,
                      MapArray(buckets.fd(), "flow_buckets", buckets.capacity() * sizeof(sl_flow_bucket)));
  buckets_ = static_cast<sl_flow_bucket*>(memory);
  bucket_count_ = buckets.capacity();
  SL_ASSIGN_OR_RETURN(void* const shares,
                      MapArray(object.map_fd("flow_shares"), "flow_shares", SL_MAX_ENDPOINTS * sizeof(*shares_)));
  shares_ = static_cast<std::uint64_t*>(shares);
  FreeWhatIsHeld();
  return OkStatus();
}

// The packet path holds a flow only for microseconds; an agent that died in Forget left it held.
void FlowTable::FreeWhatIsHeld() {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> held;
  for (std::uint32_t slot = 0; slot < bucket_count_ * SL_FLOW_WAYS; ++slot)
    if (const std::uint32_t tag = Tag(slot); tag & SL_FLOW_HELD) held.emplace_back(slot, tag);
  if (held.empty()) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (auto [slot, tag] : held)
    TagAt(buckets_, slot).compare_exchange_strong(tag, tag & ~static_cast<std::uint32_t>(SL_FLOW_HELD));
}

std::uint32_t FlowTable::Tag(std::uint32_t slot) const { return TagAt(buckets_, slot).load(std::memory_order_acquire); }

std::uint32_t FlowTable::HashOf(const sl_flow_key& key) const { return sl_flow_hash(seeds_.data(), &key); }

// One flow, read whole: its incarnation is the same before and after, and it was not written in between. Empty: that
// failed.
StatusOr<std::optional<FlowRecord>> FlowTable::ReadWhole(std::uint32_t slot, ArrayWindow* memory) const {
  const std::uint32_t before = Tag(slot);
  if (!StateOf(before)) return std::nullopt;
  SL_ASSIGN_OR_RETURN(const sl_flow first, Read(slot, memory));
  SL_ASSIGN_OR_RETURN(const sl_flow flow, Read(slot, memory));
  const std::uint32_t after = Tag(slot);
  SL_ASSIGN_OR_RETURN(const sl_flow last, Read(slot, memory));
  const auto state = StateOf(after);
  if (!state || !IsSameFlow(before, after) || first.entry.incarnation != last.entry.incarnation) return std::nullopt;
  return FlowRecord{*state, flow.key, flow.entry, slot};
}

// By a system call if `memory` is null.
StatusOr<sl_flow> FlowTable::Read(std::uint32_t slot, ArrayWindow* memory) const {
  if (memory == nullptr) {
    SL_ASSIGN_OR_RETURN(const auto flow, flows_.Get(slot));
    return flow ? StatusOr<sl_flow>(*flow) : MakeError(absl::StatusCode::kInternal, "map flows has no slot {}", slot);
  }
  SL_ASSIGN_OR_RETURN(const char* const bytes, memory->At(slot * sizeof(sl_flow), sizeof(sl_flow)));
  sl_flow flow;
  std::memcpy(&flow, bytes, sizeof(flow));
  std::atomic_thread_fence(std::memory_order_acquire);  // the tag is read after the flow
  return flow;
}

Status FlowTable::ForEach(const std::function<void(const FlowRecord&)>& visit) {
  const std::uint32_t slots = bucket_count_ * SL_FLOW_WAYS;
  ArrayWindow memory(flows_.fd(), "flows", 0, slots * sizeof(sl_flow), kAtOnce * sizeof(sl_flow));
  std::uint64_t entries = 0;
  const std::unique_lock counting(counts_mutex_, std::try_to_lock);  // one pass at a time is enough
  if (counting) counts_.Begin(bucket_count_);
  for (std::uint32_t first = 0; first < slots; first += kAtOnce) {
    const std::uint32_t end = std::min(first + kAtOnce, slots);
    std::uint32_t taken = 0;
    for (std::uint32_t slot = first; slot < end; ++slot) taken += StateOf(Tag(slot)).has_value();
    for (std::uint32_t slot = first; taken != 0 && slot < end; ++slot) {
      SL_ASSIGN_OR_RETURN(const auto record, ReadWhole(slot, taken >= kWorthMapping ? &memory : nullptr));
      if (!record) continue;  // the slot has changed meanwhile
      ++entries;
      if (counting) counts_.Add(*record, sl_flow_bucket_of(HashOf(record->key), bucket_count_));
      visit(*record);
    }
  }
  entries_ = entries;
  if (counting) counts_.End(buckets_, shares_);
  return OkStatus();
}

StatusOr<std::optional<FlowRecord>> FlowTable::Find(const sl_flow_key& key, std::uint64_t id) const {
  const std::uint32_t hash = HashOf(key);
  for (const std::uint32_t bucket :
       {sl_flow_bucket_of(hash, bucket_count_), sl_flow_other_bucket_of(hash, bucket_count_)}) {
    for (std::uint32_t slot = bucket * SL_FLOW_WAYS; slot < (bucket + 1) * SL_FLOW_WAYS; ++slot) {
      if (!IsSameFlow(Tag(slot), sl_flow_tag_of(hash))) continue;
      SL_ASSIGN_OR_RETURN(auto record, ReadWhole(slot, nullptr));
      if (record && record->entry.id == id && std::memcmp(&record->key, &key, sizeof(key)) == 0) return record;
    }
  }
  return std::nullopt;
}

StatusOr<bool> FlowTable::Forget(const FlowRecord& flow) {
  if (flow.slot >= bucket_count_ * SL_FLOW_WAYS) return false;
  const auto tag = TagAt(buckets_, flow.slot);
  std::uint32_t was = tag.load();
  if ((was & SL_FLOW_HELD) || StateOf(was) != flow.state) return false;
  // While it is held, nothing else removes it, so that the flow that is read here is the one that is removed.
  if (!tag.compare_exchange_strong(was, was | SL_FLOW_HELD)) return false;
  const auto now = Read(flow.slot, nullptr);
  const bool is_it = now.ok() && now->entry.incarnation == flow.entry.incarnation &&
                     std::memcmp(&now->key, &flow.key, sizeof(now->key)) == 0 &&
                     now->entry.last_seen_ns == flow.entry.last_seen_ns;
  if (is_it) CountOut(*now, flow.slot, flow.state);
  tag.store(is_it ? 0 : was);
  SL_RETURN_IF_ERROR(now.status());
  return is_it;
}

void FlowTable::CountOut(const sl_flow& flow, std::uint32_t slot, FlowState state) {
  const auto subtract = [](auto* count) { std::atomic_ref(*count).fetch_sub(1); };
  const std::uint32_t primary = sl_flow_bucket_of(HashOf(flow.key), bucket_count_);
  if (primary != slot / SL_FLOW_WAYS) subtract(&buckets_[primary].overflow);
  if (state == FlowState::kDenied) return;
  subtract(&shares_[0]);
  if (flow.entry.owner != 0 && flow.entry.owner < SL_MAX_ENDPOINTS) subtract(&shares_[flow.entry.owner]);
}

}  // namespace sluice::datapath
