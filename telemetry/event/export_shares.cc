#include "telemetry/event/export_shares.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

// At this many owners, those with an empty bucket are forgotten.
constexpr std::size_t kManyOwners = 4096;

}  // namespace

ExportShares::ExportShares(std::uint64_t bytes, std::chrono::seconds span)
    : all_(static_cast<double>(bytes) / 2),
      one_(static_cast<double>(bytes) / 16),
      span_ns_(static_cast<double>(std::chrono::nanoseconds(span).count())) {}

void ExportShares::Drain(Bucket& bucket, double capacity, std::uint64_t now_ns) const {
  bucket.bytes = std::max(0.0, bucket.bytes - capacity * static_cast<double>(now_ns - bucket.last_ns) / span_ns_);
  bucket.last_ns = now_ns;
}

bool ExportShares::Take(const policy::ObjectName& owner, std::uint64_t bytes, std::uint64_t monotonic_ns) {
  if (span_ns_ == 0) return true;
  if (owners_.size() >= kManyOwners && !owners_.contains(owner)) {
    for (auto& [other, bucket] : owners_) Drain(bucket, one_, monotonic_ns);
    std::erase_if(owners_, [](const auto& one) { return one.second.bytes == 0; });
  }
  Bucket& own = owners_.try_emplace(owner, Bucket{.last_ns = monotonic_ns}).first->second;
  Drain(own, one_, monotonic_ns);
  Drain(total_, all_, monotonic_ns);
  const auto size = static_cast<double>(bytes);
  if (total_.bytes + size > all_ && own.bytes + size > one_) return false;
  own.bytes += size;
  total_.bytes += size;
  return true;
}

}  // namespace sluice::telemetry
