// Which workloads' packets are kept: those of the configuration, always, and others while somebody holds them. Follows
// workloads that come and go. Thread-safe; must outlive its streams.
//
//   PacketCapture capture({.workloads = {"shop/*"}}, rings.get(), &assembler, catch_up);
//   SL_ASSIGN_OR_RETURN(auto stream, capture.Follow({{"shop", "web-0"}}, {.snaplen = 1500}));
//   stream->Read([&](v1::CaptureReply&& reply) { return call->Write(writer, reply); });
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kernel/capture/capture_rings.h"
#include "telemetry/capture/packet_namer.h"

namespace sluice::telemetry {

// "shop/web-0", "shop/*" (a namespace), "*". InvalidArgument: anything else.
struct WorkloadPattern {
  std::string ns;    // empty: all
  std::string name;  // empty: all
  static StatusOr<WorkloadPattern> Parse(const std::string& text);
  bool Matches(const policy::ObjectName& workload) const;
};

struct FollowOptions {
  std::optional<std::chrono::nanoseconds> before;  // absent: all that the rings have
  std::uint32_t snaplen = 0;                       // 0: what is kept anyway, else the headers
  EventFilter filter;
};

class PacketCapture;

// The packets of some workloads, from before it began and from then on. For one thread.
class PacketStream {
 public:
  // False: no more.
  using Consume = std::function<bool(v1::CaptureReply&& reply)>;

  ~PacketStream();
  PacketStream(const PacketStream&) = delete;
  PacketStream& operator=(const PacketStream&) = delete;

  // Passes on what came since the last call, in replies of a bounded size. False: the consumer wants no more.
  bool Read(const Consume& consume);
  std::uint64_t lost() const { return lost_; }  // packets that were overwritten before they were read, about

 private:
  friend class PacketCapture;
  struct Source {
    policy::ObjectName workload;
    std::uint32_t endpoint = 0;
    std::unique_ptr<capture::RingReader> reader;
    std::uint64_t overwritten = 0;  // told
  };
  PacketStream(PacketCapture* capture, FollowOptions options)
      : capture_(capture), options_(std::move(options)), namer_(options_.filter) {}

  PacketCapture* const capture_;
  const FollowOptions options_;
  std::uint32_t snaplen_ = 0;   // of the holds
  std::uint64_t since_ns_ = 0;  // CLOCK_MONOTONIC
  PacketNamer namer_;
  std::vector<Source> sources_;
  std::uint64_t lost_ = 0;
};

class PacketCapture {
 public:
  struct Options {
    std::vector<WorkloadPattern> workloads;  // always captured
    capture::RingOptions ring;
    std::chrono::milliseconds interval{200};  // between two looks at the workloads
  };
  // Called when `workload`, which is always captured, had a packet denied by policy; with the first one's flow.
  using OnDenied = std::function<void(const policy::ObjectName& workload, const v1::CapturedFlow& first)>;
  // Returns when everything that the sensors sent before the call is processed; may be empty.
  using CatchUp = std::function<void()>;

  // All must outlive it.
  PacketCapture(Options options, capture::CaptureRings* rings, FlowAssembler* assembler, CatchUp catch_up);
  ~PacketCapture() { Stop(); }
  PacketCapture(const PacketCapture&) = delete;
  PacketCapture& operator=(const PacketCapture&) = delete;

  // Begins to follow the workloads. `on_denied` may be empty.
  void Start(OnDenied on_denied);
  void Stop();

  // Follows these workloads; empty: all that are captured now. NotFound: no local workload has this name, or none is
  // captured. ResourceExhausted: as CaptureRings::Start.
  StatusOr<std::unique_ptr<PacketStream>> Follow(const std::vector<policy::ObjectName>& workloads,
                                                 FollowOptions options);

  std::vector<policy::ObjectName> captured() const;
  capture::CaptureRings::Usage usage() const { return rings_->usage(); }
  std::uint32_t snaplen() const { return options_.ring.snaplen; }
  // Packets that were overwritten before one of all streams, also those that have ended, read them; about.
  std::uint64_t overwritten() const { return overwritten_; }

 private:
  friend class PacketStream;
  struct Captured {
    policy::ObjectName workload;
    bool always = false;
    std::multiset<std::uint32_t> holds;            // the streams' snaplens
    std::unique_ptr<capture::RingReader> watcher;  // for on_denied_
  };
  bool IsAlways(const policy::ObjectName& workload) const;
  capture::RingOptions RingOf(const Captured& one) const;
  Status Hold(std::uint32_t endpoint, const policy::ObjectName& workload, std::uint32_t snaplen);
  void Release(std::uint32_t endpoint, const policy::ObjectName& workload, std::uint32_t snaplen);
  void Run();
  void FollowWorkloads();
  Status Apply(std::uint32_t endpoint, Captured* one);
  void DropHold(std::uint32_t endpoint, std::uint32_t snaplen);
  void LookForDenials();

  const Options options_;
  capture::CaptureRings* const rings_;
  FlowAssembler* const assembler_;
  const CatchUp catch_up_;
  OnDenied on_denied_;
  std::atomic<std::uint64_t> overwritten_ = 0;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::map<std::uint32_t, Captured> captured_;  // by endpoint number
  std::string problem_;                         // logged already
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::telemetry
