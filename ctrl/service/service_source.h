// Services, EndpointSlices and this node of the API server -> the table of Services of this node. Convert and Apply are
// called on the client's thread, as of a kube::Sink; Table from any one thread.
//   ServiceSource services("node-1");
//   client = kube::Client::Create(config, services.specs(), sink);   // whose sink calls Convert and Apply
//   if (auto table = services.Table(false)) ...
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ctrl/kube/resource_spec.h"
#include "ctrl/kube/sink.h"
#include "policy/service/service_table.h"

namespace sluice::service {

class ServiceSource {
 public:
  // `node`: the name of this node's Node.
  explicit ServiceSource(std::string node);

  const std::vector<kube::ResourceSpec>& specs() const { return specs_; }
  bool Has(const kube::ResourceSpec& spec) const;

  static StatusOr<kube::Converted> Convert(const kube::ResourceSpec& spec, const simdjson::dom::element& object);
  // What was refused is left out, so that the former version stays.
  void Apply(const kube::ResourceSpec& spec, const kube::Batch& batch);

  // Null until Services, EndpointSlices and the node were read once, and while the server has no Services or no
  // EndpointSlices: then what is in force stays. The same table while nothing changes. `without_node`: the node cannot
  // be read, so its zone and node ports are not waited for. Logs addresses that several Services claim.
  std::shared_ptr<const policy::ServiceTable> Table(bool without_node);

 private:
  // Of one resource, as far as was read.
  struct Read {
    bool listed = false;
    bool absent = false;
  };
  void Put(const kube::ResourceSpec& spec, const kube::Converted& value);
  void Remove(const kube::ResourceSpec& spec, const kube::ObjectKey& key);

  const std::string node_;
  const std::vector<kube::ResourceSpec> specs_;
  std::mutex mutex_;  // of what follows
  std::map<std::string, Read> read_;
  policy::ServiceTableBuilder builder_;
  std::set<std::string> conflicts_;  // logged already
};

}  // namespace sluice::service
