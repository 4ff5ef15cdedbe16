#include "telemetry/event/drop_reason.h"

#include <iterator>

#include "bpf/abi/drop_reasons.h"

namespace sluice::telemetry {
namespace {

constexpr const char* kDropReasons[] = {
#define SL_X(name, description) #name,
    SL_DROP_REASONS(SL_X)
#undef SL_X
};

}  // namespace

const char* DropReasonName(std::uint32_t reason) {
  return reason < std::size(kDropReasons) ? kDropReasons[reason] : "";
}

}  // namespace sluice::telemetry
