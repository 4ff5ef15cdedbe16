#include "telemetry/hubble/hubble_identity.h"

#include <algorithm>
#include <string_view>

namespace sluice::telemetry {
namespace {

// Written by Kubernetes' controllers.
constexpr std::string_view kOfOnePodOrRevision[] = {
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "controller-revision-hash",
    "controller-uid",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
};

bool IsOfOnePodOrRevision(std::string_view key) {
  return std::find(std::begin(kOfOnePodOrRevision), std::end(kOfOnePodOrRevision), key) !=
         std::end(kOfOnePodOrRevision);
}

// FNV-1a, which is the same on every machine. The zero at the end keeps "a", "bc" and "ab", "c" apart.
std::uint64_t AddToHash(std::uint64_t hash, std::string_view text) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  return hash * kPrime;
}

}  // namespace

std::uint32_t HubbleIdentity(const std::string& ns, const SortedLabels& labels) {
  constexpr std::uint64_t kBasis = 0xcbf29ce484222325;
  constexpr std::uint32_t kLeast = 1U << 31;
  std::uint64_t hash = AddToHash(kBasis, ns);
  for (const auto& [key, value] : labels) {
    if (!IsOfOnePodOrRevision(key)) hash = AddToHash(AddToHash(hash, key), value);
  }
  return static_cast<std::uint32_t>(hash ^ (hash >> 32U)) | kLeast;
}

}  // namespace sluice::telemetry
