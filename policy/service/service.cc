#include "policy/service/service.h"

#include <fmt/format.h>

namespace sluice::policy {

std::string Frontend::ToString() const {
  const std::string host = address.is_v4() ? address.ToString() : "[" + address.ToString() + "]";
  return fmt::format("{}:{}/{}", host, port, ProtocolName(protocol));
}

}  // namespace sluice::policy
