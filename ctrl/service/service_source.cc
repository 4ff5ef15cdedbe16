#include "ctrl/service/service_source.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "ctrl/kube/service_objects.h"

namespace sluice::service {
namespace {

constexpr char kServices[] = "services";
constexpr char kSlices[] = "endpointslices";
constexpr char kNode[] = "node";
constexpr std::size_t kMaxConflictsLogged = 10;  // at a time

template <typename T>
StatusOr<kube::Converted> AsConverted(StatusOr<std::shared_ptr<const T>> object) {
  if (!object.ok()) return object.status();
  return kube::Converted(*std::move(object));
}

}  // namespace

ServiceSource::ServiceSource(std::string node)
    : node_(std::move(node)), specs_({kube::ServicesSpec(), kube::EndpointSlicesSpec(), kube::NodeSpec(node_)}) {
  builder_.SetNode({.name = node_});
}

bool ServiceSource::Has(const kube::ResourceSpec& spec) const {
  return std::any_of(specs_.begin(), specs_.end(), [&](const auto& own) { return own.name == spec.name; });
}

StatusOr<kube::Converted> ServiceSource::Convert(const kube::ResourceSpec& spec, const simdjson::dom::element& object) {
  if (spec.name == kServices) return AsConverted(kube::ConvertService(object));
  if (spec.name == kSlices) return AsConverted(kube::ConvertEndpointSlice(object));
  return AsConverted(kube::ConvertNode(object));
}

void ServiceSource::Put(const kube::ResourceSpec& spec, const kube::Converted& value) {
  if (spec.name == kServices) {
    builder_.SetService(std::static_pointer_cast<const policy::Service>(value));
  } else if (spec.name == kSlices) {
    builder_.SetSlice(std::static_pointer_cast<const policy::EndpointSlice>(value));
  } else if (const auto node = std::static_pointer_cast<const policy::ServiceNode>(value); node->name == node_) {
    builder_.SetNode(*node);
  }
}

void ServiceSource::Remove(const kube::ResourceSpec& spec, const kube::ObjectKey& key) {
  if (spec.name == kServices) {
    builder_.RemoveService({key.ns, key.name});
  } else if (spec.name == kSlices) {
    builder_.RemoveSlice({key.ns, key.name});
  } else {
    builder_.SetNode({.name = node_});
  }
}

void ServiceSource::Apply(const kube::ResourceSpec& spec, const kube::Batch& batch) {
  const std::lock_guard lock(mutex_);
  for (const kube::Change& change : batch.changes) {
    if (change.kind == kube::Change::Kind::kUpsert) Put(spec, change.value);
    if (change.kind == kube::Change::Kind::kDelete) Remove(spec, change.meta.key);
  }
  if (batch.is_list) read_[spec.name] = {.listed = true, .absent = batch.is_absent};
}

std::shared_ptr<const policy::ServiceTable> ServiceSource::Table(bool without_node) {
  const std::lock_guard lock(mutex_);
  for (const char* resource : {kServices, kSlices}) {
    if (!read_[resource].listed || read_[resource].absent) return nullptr;
  }
  if (!read_[kNode].listed && !without_node) return nullptr;
  policy::ServiceTableBuilder::Built built = builder_.Build();
  std::size_t logged = 0;
  for (const std::string& conflict : built.conflicts) {
    if (!conflicts_.contains(conflict) && ++logged <= kMaxConflictsLogged) LogWarn("{}", conflict);
  }
  if (logged > kMaxConflictsLogged) {
    LogWarn("{} more addresses are claimed by several Services", logged - kMaxConflictsLogged);
  }
  conflicts_ = {built.conflicts.begin(), built.conflicts.end()};
  return built.table;
}

}  // namespace sluice::service
