// The policy tables in the kernel: two epochs, and the generation number, whose lowest bit selects the epoch in force.
//
// A commit edits the epoch that is not in force and then stores the next number. Later, Settle makes the other epoch
// the same, so that no past policy can come back. This class keeps a copy of both; RepairGeneration and RepairTables
// compare the kernel with it. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/packet_programs.h"
#include "kernel/datapath/epoch_table.h"
#include "kernel/datapath/process_classes.h"
#include "policy/network/tables.h"

namespace sluice::datapath {

class PolicyEpochs {
 public:
  ~PolicyEpochs();

  // `object` and `classes` must outlive this. Reads the tables of an earlier process, so that the first Commit changes
  // only the differences. Once.
  Status Open(const bpf::DatapathObject& object, const bpf::ObjectOptions& options, HashSeeds seeds,
              ProcessClasses* classes);

  // `decided`: the highest number that a flow was decided under. If it is above the one in force, puts a higher one in
  // force; else those flows would not be decided again.
  void Pass(std::uint64_t decided);

  // The epochs' contents are not reliable: the next commits rewrite them.
  void Distrust();

  // Puts `tables` in force as one generation. Returns once no packet is evaluated by an older one. After an error, the
  // previous generation is in force.
  Status Commit(const policy::Tables& tables);
  std::uint64_t generation() const;  // in force, as set by this process

  // Makes the other epoch equal to the one in force; mostly there is nothing to do.
  Status Settle();

  // Repairs the number in the kernel. Returns whether it was wrong.
  StatusOr<bool> RepairGeneration();
  // The same for the contents of the tables. Reads all of them.
  StatusOr<bool> RepairTables();

  struct Usage {
    std::uint64_t addresses = 0, prefixes = 0, peers = 0, ports = 0, process_verdicts = 0;  // of all epochs
    std::vector<std::uint32_t> endpoints;  // of the epoch in force, ascending
  };
  Usage usage() const;
  // As Enforcer::EndpointsInForce.
  std::map<std::uint32_t, std::uint32_t> endpoints_in_force() const;
  std::uint64_t address_capacity() const { return addresses_.capacity(); }
  std::uint64_t peer_capacity() const { return peers_.capacity(); }
  std::uint64_t prefix_capacity() const { return prefixes_.capacity(); }
  std::uint64_t port_capacity() const { return std::uint64_t{options_.epoch_ports} * SL_EPOCHS; }
  std::uint64_t process_verdict_capacity() const { return process_verdicts_.capacity(); }

 private:
  std::uint32_t in_force() const { return generation() % SL_EPOCHS; }
  Status Read();
  Status Make(std::uint32_t epoch, const policy::Tables& tables);
  Status Edit(std::uint32_t epoch, const policy::Tables& tables);
  Status Erase(std::uint32_t epoch);
  StatusOr<bool> Holds(std::uint32_t epoch) const;
  StatusOr<bool> HoldsPrefixes(std::uint32_t epoch) const;
  StatusOr<bool> HoldsPorts(std::uint32_t epoch) const;
  StatusOr<bool> HoldsProcessVerdicts(std::uint32_t epoch) const;
  void Switch(std::uint64_t generation);
  void FollowStored();
  void PutAbove(std::uint64_t other);
  void NoteUsage();

  mutable std::mutex mutex_;
  bpf::ObjectOptions options_;
  bpf::Map<sl_prefix_key, sl_prefix_value> prefixes_;
  bpf::Map<__u32, sl_port_entry> ports_;
  bpf::Map<__u32, sl_process_verdict> process_verdicts_;
  AddressTable addresses_;
  PeerTable peers_;
  ProcessClasses* classes_ = nullptr;
  bpf::PacketPrograms packet_programs_;
  std::uint64_t* stored_ = nullptr;  // the kernel's generation, memory-mapped
  std::atomic<std::uint64_t> generation_{0};
  policy::Tables epochs_[SL_EPOCHS];  // what the kernel holds
  bool epoch_known_[SL_EPOCHS] = {};  // false: an edit failed halfway
  bool committed_ = false;            // by this process
  bool was_moved_ = false;            // others changed the number, since the last RepairGeneration
  mutable std::mutex usage_mutex_;    // readers must not wait for a commit
  Usage usage_;                       // guarded by usage_mutex_, as endpoints_in_force_
  std::map<std::uint32_t, std::uint32_t> endpoints_in_force_;
};

}  // namespace sluice::datapath
