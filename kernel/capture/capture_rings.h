// The rings in which the packet path keeps the last packets of workloads (bpf/abi/capture.h): makes them, removes them,
// and opens them for reading. Memory is bounded by `Limits`.
//
//   SL_RETURN_IF_ERROR(rings.Start(endpoint, {.bytes = 1 << 18, .snaplen = SL_CAPTURE_HEADERS}));
//   SL_ASSIGN_OR_RETURN(auto reader, rings.Open(endpoint));
//   reader->Read(visit);
//
// Thread-safe; a reader is for one thread. Readers stay valid after Stop, and read what was there then.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "base/status.h"
#include "bpf/abi/capture.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/capture/cell_reader.h"

namespace sluice::capture {

struct RingOptions {
  std::uint32_t bytes = 256U << 10;            // of packets that passed; those that were dropped get a quarter more
  std::uint32_t snaplen = SL_CAPTURE_HEADERS;  // bytes of each packet that are kept
  bool operator==(const RingOptions&) const = default;
};

// The kernel's memory for one workload.
std::uint64_t RingBytes(const RingOptions& options);

enum class RingKind { kPassed = SL_CAPTURE_PASSED, kDropped = SL_CAPTURE_DROPPED };

// Both rings of a workload.
class RingReader {
 public:
  using Visit = std::function<void(RingKind kind, const sl_capture_packet& facts, std::span<const std::uint8_t> bytes)>;

  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // What was recorded since the last call, first of one ring, then of the other one. As CellReader::Read.
  void Read(const Visit& visit);
  void SkipAll();
  // Whether packets were dropped since the last call of this: cheap.
  bool HasNewDrops();
  // As Read, of the packets that were dropped alone, and without their bytes.
  void ReadDrops(const std::function<void(const sl_capture_packet& facts)>& visit);
  std::uint64_t overwritten() const;

 private:
  friend class CaptureRings;
  struct Mapped;
  explicit RingReader(std::unique_ptr<Mapped> mapped);
  std::unique_ptr<Mapped> mapped_;
};

class CaptureRings {
 public:
  struct Limits {
    std::uint64_t bytes = 64U << 20;  // of all rings together
  };
  // Tells the packet path whose packets are recorded: BpfDatapath::SetCaptured.
  using Switch = std::function<Status(const std::set<std::uint32_t>& endpoints)>;

  // `object` owns the maps and must outlive this. Removes what an earlier process left: nobody knows whose it is.
  static StatusOr<std::unique_ptr<CaptureRings>> Open(const bpf::DatapathObject& object, Limits limits,
                                                      Switch switch_on);
  ~CaptureRings();  // stops all
  CaptureRings(const CaptureRings&) = delete;
  CaptureRings& operator=(const CaptureRings&) = delete;

  // Begins with empty rings. If the workload has rings of this size, they stay, and packets from now on have the new
  // snaplen; rings of another size are replaced. InvalidArgument: options out of range. ResourceExhausted: the limit,
  // and nothing is changed.
  Status Start(std::uint32_t endpoint, const RingOptions& options);
  // OK if there is none.
  Status Stop(std::uint32_t endpoint);
  // NotFound: the workload is not captured. Begins with the oldest packet.
  StatusOr<std::unique_ptr<RingReader>> Open(std::uint32_t endpoint) const;
  std::optional<RingOptions> OptionsOf(std::uint32_t endpoint) const;

  struct Usage {
    std::size_t workloads = 0;
    std::uint64_t bytes = 0;
    std::uint64_t limit = 0;
    std::uint64_t lost = 0;  // packets that were not recorded, as another CPU still wrote in their place
  };
  Usage usage() const;

 private:
  struct Ring;
  CaptureRings(Limits limits, Switch switch_on);
  Status Bind(const bpf::DatapathObject& object);
  Status MakeRing(std::uint32_t endpoint, RingKind kind, std::uint32_t cells, Ring* ring) const;
  Status StopLocked(std::uint32_t endpoint);
  Status TellPackets() const;
  sl_capture& StateOf(std::uint32_t endpoint) const;

  const Limits limits_;
  const Switch switch_;
  bpf::Map<__u32, __u32> ring_map_;  // the value is a map's descriptor
  int captures_fd_ = -1;
  sl_capture* captures_ = nullptr;  // SL_MAX_ENDPOINTS, mapped
  mutable std::mutex mutex_;        // guards what follows
  std::map<std::uint32_t, std::unique_ptr<Ring>> rings_;
  std::uint64_t bytes_ = 0;
  std::uint64_t lost_ = 0;  // of workloads that are not captured any more
};

}  // namespace sluice::capture
