#include "telemetry/hubble/hubble_labels.h"

#include <algorithm>
#include <string_view>

#include "policy/resource/label_selector.h"

namespace sluice::telemetry {
namespace {

constexpr std::string_view kBeforeKey = " \t!";
constexpr std::string_view kAfterKey = " \t=!,";

// The end of the requirement that begins at `from`: a comma outside of parentheses, or the end of the text.
std::size_t EndOfRequirement(std::string_view text, std::size_t from) {
  int depth = 0;
  for (std::size_t i = from; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (text[i] == ',' && depth == 0) return i;
  }
  return text.size();
}

// With the key's source before a dot.
std::string Translated(std::string_view requirement) {
  const std::size_t key = std::min(requirement.find_first_not_of(kBeforeKey), requirement.size());
  const std::size_t end = std::min(requirement.find_first_of(kAfterKey, key), requirement.size());
  std::string name(requirement.substr(key, end - key));
  if (name.empty()) return std::string(requirement);  // its error is found by the parser
  const std::size_t colon = name.find(':');
  if (colon == std::string::npos) {
    name.insert(0, "any.");
  } else {
    name[colon] = '.';
  }
  return std::string(requirement.substr(0, key)) + name + std::string(requirement.substr(end));
}

}  // namespace

StatusOr<policy::Selector> ParseHubbleSelector(const std::string& text) {
  std::string translated;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = EndOfRequirement(text, from);
    translated += Translated(std::string_view(text).substr(from, end - from));
    if (end < text.size()) translated += ',';
    from = end + 1;
  }
  auto selector = policy::ParseLabelSelector(translated);
  if (!selector.ok()) return Annotate(selector.status(), text);
  return selector;
}

policy::Labels HubbleLabelsOf(const google::protobuf::RepeatedPtrField<std::string>& labels) {
  policy::Labels out;
  for (const std::string& label : labels) {
    const std::size_t colon = label.find(':');
    const std::size_t equals = std::min(label.find('=', colon), label.size());
    const std::string key = label.substr(colon + 1, equals - colon - 1);
    const std::string value = equals < label.size() ? label.substr(equals + 1) : "";
    out.emplace(label.substr(0, colon) + "." + key, value);
    out.emplace("any." + key, value);
  }
  return out;
}

}  // namespace sluice::telemetry
