// The wanted resources, by source.
#pragma once

#include <array>
#include <optional>

#include "policy/resource/resource_map.h"

namespace sluice::reconcile {

// In order of precedence: for one id, the first source's document is in force.
//   kApi         `sluice apply`
//   kDirectory   the resources directory
//   kKubernetes  a Kubernetes API server
enum class Source { kApi, kDirectory, kKubernetes };
inline constexpr std::array kSources = {Source::kApi, Source::kDirectory, Source::kKubernetes};

// Resources by source, and all together.
class Desired {
 public:
  Desired() = default;
  explicit Desired(policy::ResourceMap of_api) : Desired() { Set(Source::kApi, std::move(of_api)); }

  const policy::ResourceMap& of(Source source) const { return of_[static_cast<std::size_t>(source)]; }
  const policy::ResourceMap& all() const { return all_; }
  // The source whose document of `id` is used; none: no source has one.
  std::optional<Source> SourceOf(const policy::ResourceId& id) const;

  void Set(Source source, policy::ResourceMap resources);  // replaces all of that source
  void Put(const policy::Resource& resource);              // of the API
  void Remove(const policy::ResourceId& id);               // likewise

 private:
  policy::ResourceMap& Edit(Source source) { return of_[static_cast<std::size_t>(source)]; }

  std::array<policy::ResourceMap, kSources.size()> of_;
  policy::ResourceMap all_;
};

}  // namespace sluice::reconcile
