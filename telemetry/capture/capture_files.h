// The directory of captured files: names them, and keeps it within its bounds. When it is full, the workload with the
// most bytes loses its oldest file, so that one workload's alerts do not push out the others' files. Not thread-safe.
//
//   SL_ASSIGN_OR_RETURN(CaptureFiles files, CaptureFiles::Open({.directory = "/var/lib/sluice/captures"}));
//   const std::string path = files.NewPath({"shop", "web-0"}, "denied", now);
//   ... write path + CaptureFiles::kUnfinished, rename it to path ...
//   SL_RETURN_IF_ERROR(files.MakeRoom());
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

class CaptureFiles {
 public:
  static constexpr const char* kUnfinished = ".part";

  struct Options {
    std::string directory;
    std::uint64_t max_bytes = 64U << 20;  // of all files together
    std::uint32_t max_files = 256;
  };
  struct Usage {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::uint64_t removed = 0;  // to make room, since the start
  };

  // If the directory exists, removes what an earlier process did not finish. InvalidArgument: it is no directory that
  // can be written.
  static StatusOr<CaptureFiles> Open(Options options);

  // Makes the directory if there is none; only its owner can read it, as packets may hold secrets.
  Status Prepare() const;
  // "DIRECTORY/shop_web-0_20261201T131500.123Z_denied.pcapng"; a number is added if there is such a file.
  std::string NewPath(const policy::ObjectName& workload, const std::string& kind,
                      std::chrono::system_clock::time_point now) const;
  // Removes files until the rest is within the bounds. Other people's files in the directory are left alone.
  Status MakeRoom();
  const Usage& usage() const { return usage_; }

 private:
  explicit CaptureFiles(Options options) : options_(std::move(options)) {}
  Status CheckDirectory() const;

  Options options_;
  Usage usage_;
};

}  // namespace sluice::telemetry
