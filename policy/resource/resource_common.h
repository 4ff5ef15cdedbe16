// Parts that several kinds share: metadata, labels, selectors, ports. Errors name the field (see resource_field.h).
#pragma once

#include <string>
#include <vector>

#include "policy/resource/model.h"
#include "policy/resource/resource_field.h"

namespace sluice::policy {

struct Metadata {
  ObjectName name;
  std::string uid;
  Labels labels;
};

// metav1.ObjectMeta. A namespaced kind without a namespace gets the document's default namespace.
StatusOr<Metadata> ParseMetadata(const Field& root, Kind kind);

// The labels of an object, or a selector's matchLabels.
StatusOr<Labels> ParseLabels(const Field& field);

// metav1.LabelSelector.
StatusOr<Selector> ParseSelector(const Field& field);

StatusOr<std::uint8_t> ParseProtocol(const Field& field);
StatusOr<std::uint16_t> ParsePortNumber(const Field& field);

// A host's address: no wildcard, loopback or multicast.
StatusOr<Address> ParseHostAddress(const Field& field);

// `field` as a string. The second form is an error if `check` (policy/resource/resource_syntax.h) finds a problem.
StatusOr<std::string> ParseString(const Field& field);
StatusOr<std::string> ParseChecked(const Field& field, std::string (*check)(std::string_view));

// ParseChecked as a function of the field alone, for Field::Read.
inline auto Checked(std::string (*check)(std::string_view)) {
  return [check](const Field& field) { return ParseChecked(field, check); };
}

}  // namespace sluice::policy
