// The path and query of a request about a resource. Pure.
#pragma once

#include <string>
#include <string_view>

#include "ctrl/kube/resource_spec.h"

namespace sluice::kube {

class Query {
 public:
  // With the selectors of `spec`.
  explicit Query(const ResourceSpec& spec);
  void Add(std::string_view key, std::string_view value);  // encodes `value`
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  char separator_ = '?';
};

}  // namespace sluice::kube
