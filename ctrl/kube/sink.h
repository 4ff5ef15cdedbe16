// What receives the objects that the client reads. Implemented by the client's user.
//
// Each object is converted once, when it is read, and the client keeps the result, not the JSON. A list reaches the
// sink in one Apply when it is complete, with what differs from before; a watch's events in one Apply for all that came
// in one read. All calls are on the client's thread, and none may block for long.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace simdjson::dom {
class element;
}  // namespace simdjson::dom

namespace sluice::kube {

struct ResourceSpec;

struct ObjectKey {
  std::string ns;  // empty for kinds of the cluster
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
  std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
};

struct ObjectMeta {
  ObjectKey key;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;  // of the object's `spec`; 0: the kind has none, or it is not known
};

// What Sink::Convert made of an object. Immutable, as it is shared with the client.
using Converted = std::shared_ptr<const void>;

struct Change {
  enum class Kind {
    kUpsert,  // `value` is what Convert returned
    kDelete,
    kRefused,  // Convert returned the error `refused`: what was known of this object stays in force
  };
  Kind kind = Kind::kUpsert;
  ObjectMeta meta;  // of kDelete: as known before
  Converted value;
  Status refused;
};

struct Batch {
  // The changes make the known objects equal to a complete list of the server. The first such batch of a resource comes
  // even when it has no changes.
  bool is_list = false;
  bool is_absent = false;  // a list because the server does not have this resource: there are no objects
  // In order. An object that was replaced by another one of its name is deleted first. In a list, all deletions come
  // first, so that an address is free before its next owner has it.
  std::vector<Change> changes;
};

class Sink {
 public:
  virtual ~Sink() = default;
  // One object of `spec`. An error names the object; the rest goes on. `meta` is already read from `object`.
  virtual StatusOr<Converted> Convert(const ResourceSpec& spec, const ObjectMeta& meta,
                                      const simdjson::dom::element& object) = 0;
  virtual void Apply(const ResourceSpec& spec, Batch batch) = 0;
};

}  // namespace sluice::kube
