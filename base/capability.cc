#include "base/capability.h"

#include <absl/strings/ascii.h>
#include <fmt/format.h>
#include <sys/capability.h>

#include <memory>

namespace sluice {

std::string CapabilityName(unsigned capability) {
  const std::unique_ptr<char, int (*)(void*)> name(cap_to_name(static_cast<cap_value_t>(capability)), cap_free);
  // libcap names what it does not know by its number.
  if (name == nullptr || !absl::ascii_isalpha(static_cast<unsigned char>(*name))) {
    return fmt::format("CAP_{}", capability);
  }
  return absl::AsciiStrToUpper(name.get());
}

std::optional<std::uint32_t> CapabilityNumber(std::string_view name) {
  for (std::uint32_t number = 0; number <= kLastCapability; ++number) {
    if (CapabilityName(number) == name) return number;
  }
  return std::nullopt;
}

}  // namespace sluice
