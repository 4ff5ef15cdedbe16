// What keeping packets costs, and what became of the files of alerts. A value.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace sluice::telemetry {

struct CaptureNumbers {
  std::uint64_t workloads = 0;
  std::uint64_t memory_bytes = 0;  // of the kernel
  std::uint64_t memory_limit = 0;
  std::uint64_t contended = 0;    // packets that were not kept: two CPUs wrote in one place
  std::uint64_t overwritten = 0;  // packets that were overwritten before somebody who wanted them read them; about
  std::map<std::string, std::uint64_t> written;  // files by the kind of their cause: a closed set (CaptureCause)
  std::uint64_t written_bytes = 0;               // of these files
  std::uint64_t suppressed = 0;
  std::uint64_t failed = 0;
  std::uint64_t removed = 0;
  std::uint64_t files = 0;  // that are there now
  std::uint64_t file_bytes = 0;
  std::uint64_t file_limit = 0;
};

// Nothing: no packets can be kept. Thread-safe.
using CaptureNow = std::function<std::optional<CaptureNumbers>()>;

}  // namespace sluice::telemetry
