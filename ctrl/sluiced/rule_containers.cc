#include "ctrl/sluiced/rule_containers.h"

namespace sluice {

policy::rules::Container ForRules(const cri::Container& container) {
  policy::rules::Container out;
  out.full_id = container.id;
  out.name = container.name;
  out.type = container.runtime;
  out.image = container.image;
  out.image_id = container.image_id;
  out.image_repository = container.repository;
  out.image_tag = container.tag;
  out.image_digest = container.image_digest;
  out.privileged = container.privileged;
  out.mounts.emplace();
  for (const cri::ContainerMount& mount : container.mounts) {
    out.mounts->push_back({.source = mount.source,
                           .destination = mount.destination,
                           .mode = {},
                           .writable = mount.writable,
                           .propagation = mount.propagation});
  }
  out.pod_name = container.pod.name;
  out.pod_uid = container.pod_uid;
  out.pod_namespace = container.pod.ns;
  return out;
}

}  // namespace sluice
