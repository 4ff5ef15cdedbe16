// Records of the LSM programs (struct sl_lsm_event), decoded and checked. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "bpf/abi/lsm.h"

namespace sluice::telemetry {

struct AlertRecord {
  sl_lsm_event event{};
  // The kernel's bytes, which need not be UTF-8.
  std::string path;
  std::string program;                 // that does it
  std::vector<std::string> arguments;  // of an execution, with the program's name as the first

  bool Is(sl_lsm_event_flags flag) const { return (event.flags & flag) != 0; }
};

// InvalidArgument: `bytes` is not one record.
StatusOr<AlertRecord> DecodeAlertRecord(std::string_view bytes);

}  // namespace sluice::telemetry
