#include "kernel/bpf/pin_layout.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace sluice::bpf {
namespace {

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

StatusOr<std::vector<PinLayout>> FindLayouts(const std::string& root) {
  std::vector<PinLayout> layouts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    const std::string name = entry.path().filename();
    if (name.size() < 2 || name[0] != 'v') continue;
    if (const auto version = ParseNumber<int>(std::string_view(name).substr(1))) layouts.emplace_back(root, *version);
  }
  if (error && error != std::errc::no_such_file_or_directory) return ErrnoError(error.value(), "list {}", root);
  std::ranges::sort(layouts, {}, &PinLayout::version);
  return layouts;
}

Status RefuseNewerLayouts(const std::string& root) {
  SL_ASSIGN_OR_RETURN(const auto layouts, FindLayouts(root));
  if (layouts.empty() || layouts.back().version() <= SL_ABI_VERSION) return OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "{}: pinned by a newer version (layout {}, this one knows {}): run that version, or remove what it "
                   "has left with `sluice uninstall` first (nothing is enforced from then to the next start)",
                   layouts.back().version_dir(), layouts.back().version(), SL_ABI_VERSION);
}

std::optional<LinkName> ParseLinkName(const std::string& name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string::npos || dash == 0) return std::nullopt;
  const auto ifindex = ParseNumber<std::uint32_t>(std::string_view(name).substr(dash + 1));
  if (!ifindex) return std::nullopt;
  return LinkName{name.substr(0, dash), *ifindex};
}

}  // namespace sluice::bpf
