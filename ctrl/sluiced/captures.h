// The agent's captures of packets: the rings in the kernel, whose packets are kept, and the files that alerts leave.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "kernel/capture/capture_rings.h"
#include "kernel/datapath/bpf_datapath.h"
#include "telemetry/capture/packet_capture.h"
#include "telemetry/capture/recorder.h"
#include "telemetry/telemetry.h"

namespace sluice {

class Captures {
 public:
  struct Options {
    std::vector<std::string> workloads;  // --capture, checked
    std::vector<std::string> on;         // --capture-on: "denied", "hook", "alert", "detection"
    capture::RingOptions ring;
    std::uint64_t max_bytes = 0;  // of the kernel's memory
    telemetry::Recorder::Options recorder;
  };

  // Begins at once. `datapath` and `telemetry` outlive this. InvalidArgument: the directory cannot be written; other
  // errors: of the kernel.
  static StatusOr<std::unique_ptr<Captures>> Start(const Options& options, datapath::BpfDatapath* datapath,
                                                   telemetry::Telemetry* telemetry);
  // InvalidArgument: the directory of files cannot be used.
  static Status Check(const Options& options);
  // No more files are begun; open ones are finished. The kernel keeps no packets afterwards.
  void Stop();

  telemetry::PacketCapture* packets() const { return packets_.get(); }
  // What `capture` of a response calls.
  telemetry::Recorder* recorder() const { return recorder_.get(); }
  v1::AgentStatus::Captures Numbers() const;
  telemetry::CaptureNumbers MetricNumbers() const;

 private:
  explicit Captures(Options options) : options_(std::move(options)) {}

  const Options options_;
  std::unique_ptr<capture::CaptureRings> rings_;
  std::unique_ptr<telemetry::PacketCapture> packets_;
  std::unique_ptr<telemetry::Recorder> recorder_;
};

}  // namespace sluice
