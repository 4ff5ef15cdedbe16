#include "ctrl/kube/query.h"

#include <absl/strings/ascii.h>
#include <fmt/format.h>

namespace sluice::kube {

Query::Query(const ResourceSpec& spec) : path_(spec.path) {
  if (!spec.field_selector.empty()) Add("fieldSelector", spec.field_selector);
  if (!spec.label_selector.empty()) Add("labelSelector", spec.label_selector);
}

void Query::Add(std::string_view key, std::string_view value) {
  path_ += separator_;
  path_ += key;
  path_ += '=';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || std::string_view("-._~").find(c) != std::string_view::npos) {
      path_ += c;
    } else {
      path_ += fmt::format("%{:02X}", byte);
    }
  }
  separator_ = '&';
}

}  // namespace sluice::kube
