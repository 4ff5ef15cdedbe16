#include "ctrl/datapath/flow_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "bpf/lib/flow_hash.h"

namespace sluice::datapath {
namespace {

// A megabyte of flows is mapped for as much as 150 calls for one each cost.
constexpr std::uint32_t kAtOnce = (1 << 20) / sizeof(sl_flow), kWorthMapping = 150;

// Empty: nobody's, or somebody is writing it.
std::optional<FlowState> StateOf(std::uint32_t tag) {
  switch (tag & SL_FLOW_STATE_MASK) {
    case SL_FLOW_PENDING:
      return FlowState::kPending;
    case SL_FLOW_DENIED:
      return FlowState::kDenied;
    case SL_FLOW_ESTABLISHED:
      return FlowState::kEstablished;
    default:
      return std::nullopt;
  }
}

bool IsSameFlow(std::uint32_t tag, std::uint32_t other) {
  return (tag & ~static_cast<std::uint32_t>(SL_FLOW_STATE_MASK)) ==
         (other & ~static_cast<std::uint32_t>(SL_FLOW_STATE_MASK));
}

std::atomic_ref<std::uint32_t> TagAt(sl_flow_bucket* buckets, std::uint32_t place) {
  return std::atomic_ref<std::uint32_t>(buckets[place / SL_FLOW_WAYS].tags[place % SL_FLOW_WAYS]);
}

}  // namespace

FlowTable::~FlowTable() {
  if (buckets_ != nullptr) munmap(buckets_, std::size_t{bucket_count_} * sizeof(sl_flow_bucket));
}

Status FlowTable::Bind(const bpf::DatapathObject& object, HashSeeds seeds) {
  std::copy(seeds.begin(), seeds.end(), seeds_.begin());
  using Buckets = bpf::Map<__u32, sl_flow_bucket>;
  SL_ASSIGN_OR_RETURN(const Buckets buckets, Buckets::Bind(object.map_fd("flow_buckets"), "flow_buckets"));
  SL_ASSIGN_OR_RETURN(flows_, decltype(flows_)::Bind(object.map_fd("flows"), "flows"));
  const std::size_t bytes = std::size_t{buckets.capacity()} * sizeof(sl_flow_bucket);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, buckets.fd(), 0);
  if (memory == MAP_FAILED) return ErrnoError(errno, "map {} bytes of flow_buckets into memory", bytes);
  buckets_ = static_cast<sl_flow_bucket*>(memory);
  bucket_count_ = buckets.capacity();
  return OkStatus();
}

std::uint32_t FlowTable::Tag(std::uint32_t place) const {
  return TagAt(buckets_, place).load(std::memory_order_acquire);
}

std::uint32_t FlowTable::HashOf(const sl_flow_key& key) const { return sl_flow_hash(seeds_.data(), &key); }

// By a call where there is no memory.
StatusOr<sl_flow> FlowTable::Read(std::uint32_t place, ArrayWindow* memory) const {
  if (memory == nullptr) {
    SL_ASSIGN_OR_RETURN(const auto flow, flows_.Get(place));
    return flow ? StatusOr<sl_flow>(*flow) : MakeError(absl::StatusCode::kInternal, "map flows has no place {}", place);
  }
  SL_ASSIGN_OR_RETURN(const char* const bytes, memory->At(place * sizeof(sl_flow), sizeof(sl_flow)));
  sl_flow flow;
  std::memcpy(&flow, bytes, sizeof(flow));
  std::atomic_thread_fence(std::memory_order_acquire);  // the tag is read after it
  return flow;
}

Status FlowTable::ForEach(const std::function<void(const FlowRecord&)>& visit) {
  const std::uint32_t places = bucket_count_ * SL_FLOW_WAYS;
  ArrayWindow memory(flows_.fd(), "flows", 0, places * sizeof(sl_flow), kAtOnce * sizeof(sl_flow));
  std::uint64_t entries = 0;
  for (std::uint32_t first = 0; first < places; first += kAtOnce) {
    const std::uint32_t end = std::min(first + kAtOnce, places);
    std::uint32_t taken = 0;
    for (std::uint32_t place = first; place < end; ++place) taken += StateOf(Tag(place)).has_value();
    for (std::uint32_t place = first; taken != 0 && place < end; ++place) {
      const std::uint32_t before = Tag(place);
      if (!StateOf(before)) continue;
      SL_ASSIGN_OR_RETURN(const sl_flow flow, Read(place, taken >= kWorthMapping ? &memory : nullptr));
      const std::uint32_t after = Tag(place);
      const auto state = StateOf(after);
      if (!state || !IsSameFlow(before, after)) continue;  // another one's by now
      ++entries;
      visit({*state, flow.key, flow.entry, place});
    }
  }
  entries_ = entries;
  return OkStatus();
}

StatusOr<std::optional<FlowRecord>> FlowTable::Find(const sl_flow_key& key, std::uint64_t id) const {
  const std::uint32_t hash = HashOf(key);
  for (const std::uint32_t bucket :
       {sl_flow_bucket_of(hash, bucket_count_), sl_flow_other_bucket_of(hash, bucket_count_)}) {
    for (std::uint32_t place = bucket * SL_FLOW_WAYS; place < (bucket + 1) * SL_FLOW_WAYS; ++place) {
      const std::uint32_t before = Tag(place);
      if (!StateOf(before) || !IsSameFlow(before, sl_flow_tag_of(hash))) continue;
      SL_ASSIGN_OR_RETURN(const sl_flow flow, Read(place, nullptr));
      const std::uint32_t after = Tag(place);
      const auto state = StateOf(after);
      if (!state || !IsSameFlow(before, after) || flow.entry.id != id) continue;
      if (std::memcmp(&flow.key, &key, sizeof(key)) == 0) return FlowRecord{*state, flow.key, flow.entry, place};
    }
  }
  return std::nullopt;
}

StatusOr<bool> FlowTable::Forget(const FlowRecord& flow) {
  if (flow.place >= bucket_count_ * SL_FLOW_WAYS) return false;
  std::uint32_t tag = Tag(flow.place);
  if (StateOf(tag) != flow.state) return false;
  SL_ASSIGN_OR_RETURN(const sl_flow now, Read(flow.place, nullptr));
  if (std::memcmp(&now.key, &flow.key, sizeof(now.key)) != 0 || now.entry.id != flow.entry.id ||
      now.entry.last_seen_ns != flow.entry.last_seen_ns)
    return false;
  if (!TagAt(buckets_, flow.place).compare_exchange_strong(tag, 0)) return false;
  const std::uint32_t home = sl_flow_bucket_of(HashOf(flow.key), bucket_count_);
  if (home != flow.place / SL_FLOW_WAYS) std::atomic_ref<std::uint32_t>(buckets_[home].guests).fetch_sub(1);
  return true;
}

}  // namespace sluice::datapath
