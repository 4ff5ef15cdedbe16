// What a record of the LSM programs says, in events. Pure.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "api/sluice.pb.h"
#include "policy/lsm/model.h"
#include "telemetry/lsm/alert_record.h"

namespace sluice::telemetry {

struct AlertDescription {
  std::shared_ptr<const policy::lsm::Policy> policy;
  const policy::lsm::Rule* rule = nullptr;  // in `policy`
};

// Finds sl_lsm_event.rule of sl_lsm_event.generation; nothing: it is known no more.
using AlertDescriber = std::function<std::optional<AlertDescription>(std::uint64_t generation, std::uint32_t rule)>;

// Fills what the record and the policy say. `out` has time, process and workload already.
void FillAlert(const AlertRecord& record, const AlertDescription& description, v1::Alert* out);

}  // namespace sluice::telemetry
