#include "kernel/bpf/probe_pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "base/fd.h"
#include "bpf/abi/process.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/system.h"

namespace sluice::bpf {

namespace {

template <typename K, typename V>
Status Clear(const PinLayout& layout, const char* name) {
  const auto fd = OpenPinnedMap(layout.map(name));
  if (!fd.ok()) return absl::IsNotFound(fd.status()) ? OkStatus() : fd.status();
  SL_ASSIGN_OR_RETURN(const auto map, (Map<K, V>::Bind(fd->get(), name)));
  std::vector<K> keys;
  SL_RETURN_IF_ERROR(map.ForEachBatch([&](const K& key, const V&) { keys.push_back(key); }));
  for (const K& key : keys) SL_RETURN_IF_ERROR(map.Delete(key));
  return OkStatus();
}

}  // namespace

Status PlanPins(bpf_object* object, std::span<const char* const> names, const PinLayout& layout, PinnedSize size) {
  std::error_code error;
  std::filesystem::create_directories(layout.maps_dir(), error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", layout.maps_dir());
  for (const char* const name : names) {
    bpf_map* const map = bpf_object__find_map_by_name(object, name);
    const std::string pin = layout.map(name);
    if (size == PinnedSize::kAsItIs) {
      if (const Fd made(bpf_obj_get(pin.c_str())); made.valid()) {
        if (const int rc = bpf_map__reuse_fd(map, made.get()); rc != 0) return ErrnoError(rc, "take over {}", pin);
        continue;
      }
    }
    if (const int rc = bpf_map__set_pin_path(map, pin.c_str()); rc != 0)
      return ErrnoError(rc, "map {}: set its pin path", name);
  }
  return OkStatus();
}

Status PinProbes(const PinLayout& layout, const std::string& set, const std::vector<AttachedProbe>& probes) {
  const std::string directory = layout.probes_dir() + "/" + set;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", directory);
  std::set<std::string> current;
  for (const AttachedProbe& probe : probes) {
    const std::string pin = directory + "/" + probe.name;
    SL_RETURN_IF_ERROR(PinAt(bpf_link__fd(probe.link), pin));
    current.insert(pin);
  }
  std::vector<std::string> others;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (!current.contains(entry.path())) others.push_back(entry.path());
  }
  if (error) return ErrnoError(error.value(), "list {}", directory);
  for (const std::string& other : others) {
    if (unlink(other.c_str()) != 0) return ErrnoError(errno, "end the probe {}", other);
  }
  return OkStatus();
}

Status ReleaseProbes(const PinLayout& layout) {
  std::error_code error;
  if (!std::filesystem::exists(layout.probes_dir(), error)) return OkStatus();
  std::filesystem::remove_all(layout.probes_dir(), error);
  if (error) return ErrnoError(error.value(), "end the probes in {}", layout.probes_dir());
  SL_RETURN_IF_ERROR(WaitForRunningPrograms());
  SL_RETURN_IF_ERROR((Clear<sl_process_facts, sl_process_class_number>(layout, "process_class_numbers")));
  SL_RETURN_IF_ERROR((Clear<sl_process_class_number, sl_process_class>(layout, "process_classes")));
  SL_RETURN_IF_ERROR((Clear<sl_program_path, sl_program>(layout, "programs")));
  return Clear<std::uint32_t, sl_process>(layout, "processes");
}

}  // namespace sluice::bpf
