#include "perf/dpdk/load_options.h"

#include <charconv>

namespace sluice::perf {
namespace {

StatusOr<perf_load> FromHex(const std::string& hex) {
  perf_load load{};
  auto* const bytes = reinterpret_cast<std::uint8_t*>(&load);
  bool right = hex.size() == 2 * sizeof(load);
  for (std::size_t i = 0; right && i < sizeof(load); ++i) {
    const char* const end = hex.data() + 2 * i + 2;
    right = std::from_chars(end - 2, end, bytes[i], 16).ptr == end;
  }
  if (!right || load.flows == 0) return InvalidError("--load {} is not a valid perf_load", hex);
  return load;
}

}  // namespace

StatusOr<perf_load> LoadOf(const LoadOptions& options) {
  if (!options.raw.empty()) return FromHex(options.raw);
  if (options.ends.source.empty() || options.ends.destination.empty() || options.ends.destination_mac.empty())
    return InvalidError("--source, --destination and --destination-mac are needed, or --load");
  constexpr std::uint32_t kPairs = PERF_CLIENT_PORTS * (65536U - PERF_FIRST_SERVICE_PORT);
  if (options.flows == 0 || (options.stride == 0 && options.flows > kPairs))
    return InvalidError("{} flows: must be 1 or more, and without --stride at most {}", options.flows, kPairs);
  SL_ASSIGN_OR_RETURN(const auto source, policy::Address::Parse(options.ends.source));
  perf_load load{.state = options.first_flow,
                 .flows = options.flows,
                 .random = options.random,
                 .by_address = options.stride != 0,
                 .stride = options.stride,
                 .answer = options.answer,
                 .v6 = !source.is_v4()};
  SL_RETURN_IF_ERROR(FillHeaders(options.ends, &load));
  return load;
}

}  // namespace sluice::perf
