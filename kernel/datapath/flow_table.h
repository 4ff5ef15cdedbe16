// The agent's access to the flow table: reads flows, and removes expired ones (bpf/abi/flow_table.h).
//   SL_RETURN_IF_ERROR(flows.ForEach([](const FlowRecord& flow) { ... })); Does not own the maps' descriptors. Keeps
// the tags memory-mapped, and flows only while it reads them. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "bpf/abi/flow_table.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/datapath/array_window.h"
#include "kernel/datapath/flow_counts.h"
#include "kernel/datapath/flow_record.h"
#include "kernel/datapath/settings.h"

namespace sluice::datapath {

class FlowTable {
 public:
  FlowTable() = default;
  ~FlowTable();
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  // `object` owns the maps and must outlive this; `seeds` are those of its settings. Once.
  Status Bind(const bpf::DatapathObject& object, HashSeeds seeds);

  // Visits every flow that stays in its slot meanwhile once.
  Status ForEach(const std::function<void(const FlowRecord&)>& visit);
  // Nothing: the flow is gone, or has another record now.
  StatusOr<std::optional<FlowRecord>> Find(const sl_flow_key& key, std::uint64_t id) const;
  // Removes a flow. False: it is gone, or had a packet since it was read.
  StatusOr<bool> Forget(const FlowRecord& flow);

  std::uint64_t entries() const { return entries_; }  // at the last ForEach
  std::uint64_t capacity() const { return flows_.capacity(); }

 private:
  std::uint32_t Tag(std::uint32_t slot) const;
  StatusOr<sl_flow> Read(std::uint32_t slot, ArrayWindow* memory) const;
  std::uint32_t HashOf(const sl_flow_key& key) const;
  StatusOr<std::optional<FlowRecord>> ReadWhole(std::uint32_t slot, ArrayWindow* memory) const;
  void CountOut(const sl_flow& flow, std::uint32_t slot, FlowState state);
  void FreeWhatIsHeld();

  bpf::Map<__u32, sl_flow> flows_;
  sl_flow_bucket* buckets_ = nullptr;  // memory-mapped, as shares_
  std::uint64_t* shares_ = nullptr;    // by endpoint; [0]: the total
  std::uint32_t bucket_count_ = 0;
  std::array<__u64, SL_HASH_SEEDS> seeds_{};
  std::atomic<std::uint64_t> entries_{0};
  std::mutex counts_mutex_;
  FlowCounts counts_;
};

}  // namespace sluice::datapath
