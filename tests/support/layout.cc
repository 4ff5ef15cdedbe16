#include "tests/support/layout.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "base/fd.h"
#include "kernel/bpf/hook.h"
#include "kernel/bpf/link.h"
#include "testbed/command.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using ByteVector = std::vector<unsigned char>;

constexpr const char* kList = "/layout.txt";
constexpr const char* kState = "/state.sql";
constexpr const char* kSeeds[] = {"note_holders", "give_owners"};
constexpr std::size_t kKernelNameMax = BPF_OBJ_NAME_LEN - 1;

std::string Hex(const ByteVector& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text.empty() ? "-" : text;
}

ByteVector FromHex(const std::string& text) {
  ByteVector bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<unsigned char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

StatusOr<Fd> OpenPin(const std::string& path) {
  Fd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) return ErrnoError(errno, "open the pin {}", path);
  return fd;
}

// The only version directory below the root.
StatusOr<std::string> VersionDirectory(const std::string& bpf_root) {
  for (const auto& entry : fs::directory_iterator(bpf_root)) {
    if (entry.path().filename().string().starts_with("v")) return entry.path().filename().string();
  }
  return InvalidError("{}: no version has pinned anything there", bpf_root);
}

StatusOr<bpf_map_info> MapInfo(int fd) {
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) return ErrnoError(errno, "read a map's info");
  return info;
}

// Maps that the agent fills; maps that the packet path and the probes write are left out.
bool IsKept(const bpf_map_info& info, const std::string& name) {
  static const std::set<std::string> kLeftOut = {
      "flows", "flow_buckets", "processes", "programs", "process_classes", "process_class_numbers", "socket_changes"};
  switch (info.type) {
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LPM_TRIE:
    case BPF_MAP_TYPE_DEVMAP_HASH:
      return !kLeftOut.contains(name);
    default:
      return false;
  }
}

Status WriteEntries(int fd, const bpf_map_info& info, std::ostream& out) {
  ByteVector key(info.key_size), next(info.key_size), value(info.value_size);
  const void* previous = nullptr;
  while (bpf_map_get_next_key(fd, previous, next.data()) == 0) {
    key = next;
    previous = key.data();
    if (bpf_map_lookup_elem(fd, key.data(), value.data()) != 0) continue;
    const bool empty = std::ranges::all_of(value, [](unsigned char byte) { return byte == 0; });
    if (info.type == BPF_MAP_TYPE_ARRAY && empty) continue;
    out << "entry " << Hex(key) << " " << Hex(value) << "\n";
  }
  return OkStatus();
}

// Writes the sizes of the maps that the program of `link` uses, and its .rodata.
Status WriteProgramMaps(const std::string& object, const std::string& link, std::set<std::uint32_t>* seen,
                        std::ostream& out) {
  SL_ASSIGN_OR_RETURN(const Fd fd, OpenPin(link));
  bpf_link_info link_info{};
  __u32 length = sizeof(link_info);
  if (bpf_obj_get_info_by_fd(fd.get(), &link_info, &length) != 0) return ErrnoError(errno, "read the info of {}", link);
  const Fd program(bpf_prog_get_fd_by_id(link_info.prog_id));
  std::uint32_t ids[64];
  bpf_prog_info info{};
  info.nr_map_ids = std::size(ids);
  info.map_ids = reinterpret_cast<std::uintptr_t>(ids);
  length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) return ErrnoError(errno, "read {}'s program", link);
  for (std::uint32_t i = 0; i < info.nr_map_ids; ++i) {
    if (!seen->insert(ids[i]).second) continue;
    const Fd map(bpf_map_get_fd_by_id(ids[i]));
    SL_ASSIGN_OR_RETURN(const bpf_map_info map_info, MapInfo(map.get()));
    const std::string name = map_info.name;
    if (!name.ends_with(".rodata")) {
      if (!name.ends_with(".bss")) out << "size " << object << " " << name << " " << map_info.max_entries << "\n";
      continue;
    }
    ByteVector value(map_info.value_size);
    const __u32 zero = 0;
    if (bpf_map_lookup_elem(map.get(), &zero, value.data()) != 0) return ErrnoError(errno, "read {}", name);
    out << "rodata " << object << " " << Hex(value) << "\n";
  }
  return OkStatus();
}

// Everything that is pinned permanently, by its object.
struct Layout {
  std::string version;                                      // "v8"
  std::map<std::string, std::map<std::string, int>> sizes;  // by object and the kernel's name of a map
  std::map<std::string, ByteVector> rodata;                 // by object
  std::vector<std::string> pinned;                          // maps
  std::map<std::string, std::vector<std::pair<ByteVector, ByteVector>>> entries;  // by map
  std::vector<std::pair<std::string, int>> links;                                 // program, ifindex
  std::vector<std::pair<std::string, std::string>> probes;                        // set, program
};

StatusOr<Layout> ReadLayout(const std::string& directory) {
  std::ifstream file(directory + kList);
  if (!file) return ErrnoError(errno, "open {}{}", directory, kList);
  Layout layout;
  std::string line, map;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string what, a, b;
    int number = 0;
    words >> what;
    if (what == "version") words >> layout.version;
    if (what == "size" && words >> a >> b >> number) layout.sizes[a][b] = number;
    if (what == "rodata" && words >> a >> b) layout.rodata[a] = FromHex(b);
    if (what == "map" && words >> map) layout.pinned.push_back(map);
    if (what == "entry" && words >> a >> b) layout.entries[map].emplace_back(FromHex(a), FromHex(b));
    if (what == "link" && words >> a >> number) layout.links.emplace_back(a, number);
    if (what == "probe" && words >> a >> b) layout.probes.emplace_back(a, b);
  }
  return layout;
}

struct ObjectCloser {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, ObjectCloser>;

// Loads the object with the programs that were attached, and pins its maps as before.
StatusOr<Object> LoadObject(const std::string& directory, const std::string& name, const Layout& layout,
                            const std::string& maps_dir, const std::set<std::string>& programs) {
  const std::string path = directory + "/" + name + ".bpf.o";
  Object object(bpf_object__open_file(path.c_str(), nullptr));
  if (!object) return ErrnoError(errno, "open {}", path);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get())
      bpf_program__set_autoload(program, programs.contains(bpf_program__name(program)));
  const auto sizes = layout.sizes.find(name);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object.get()) {
    const std::string map_name = bpf_map__name(map);
    if (map_name.ends_with(".rodata")) {
      const auto rodata = layout.rodata.find(name);
      if (rodata == layout.rodata.end()) continue;
      const int rc = bpf_map__set_initial_value(map, rodata->second.data(), rodata->second.size());
      if (rc != 0) return ErrnoError(rc, "{}: set {}", path, map_name);
    }
    if (bpf_map__is_internal(map)) continue;
    if (sizes != layout.sizes.end()) {
      const auto size = sizes->second.find(map_name.substr(0, kKernelNameMax));
      if (size != sizes->second.end()) bpf_map__set_max_entries(map, size->second);
    }
    if (std::ranges::find(layout.pinned, map_name) == layout.pinned.end()) continue;
    const std::string pin = maps_dir + "/" + map_name;
    if (bpf_map__type(map) == BPF_MAP_TYPE_DEVMAP_HASH && fs::exists(pin))
      bpf_map__set_map_flags(map, bpf_map__map_flags(map) | BPF_F_RDONLY_PROG);
    bpf_map__set_pin_path(map, pin.c_str());
  }
  if (const int rc = bpf_object__load(object.get()); rc != 0) return ErrnoError(rc, "load {}", path);
  return object;
}

Status FillMaps(const Layout& layout, const std::string& maps_dir) {
  for (const auto& [name, entries] : layout.entries) {
    SL_ASSIGN_OR_RETURN(const Fd fd, OpenPin(maps_dir + "/" + name));
    for (const auto& [key, value] : entries) {
      if (bpf_map_update_elem(fd.get(), key.data(), value.data(), BPF_ANY) != 0)
        return ErrnoError(errno, "map {}: put back {}", name, Hex(key));
    }
  }
  return OkStatus();
}

// Attaches like an agent on a kernel without TCX: as a filter, without a pin.
Status AttachClsact(const bpf_program* program, int ifindex, bpf_tc_attach_point where) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = where);
  if (const int rc = bpf_tc_hook_create(&hook); rc != 0 && rc != -EEXIST)
    return ErrnoError(rc, "create clsact on ifindex {}", ifindex);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf_program__fd(program), .handle = bpf::kTcHandle,
              .priority = bpf::kTcPriority);
  const int rc = bpf_tc_attach(&hook, &options);
  return rc == 0 ? OkStatus() : ErrnoError(rc, "attach a filter to ifindex {}", ifindex);
}

Status AttachLink(bpf_object* object, const std::string& program, int ifindex, const std::string& pin) {
  const bpf_program* const found = bpf_object__find_program_by_name(object, program.c_str());
  if (found == nullptr) return InvalidError("no program {}", program);
  const bool is_xdp = program == "xdp_uplink", is_ingress = program == "tc_from_pod";
  const int type = is_xdp ? BPF_XDP : is_ingress ? bpf::kTcxIngress : bpf::kTcxEgress;
  const Fd link(bpf_link_create(bpf_program__fd(found), ifindex, static_cast<bpf_attach_type>(type), nullptr));
  if (!link.valid() && errno == EINVAL && !is_xdp)
    return AttachClsact(found, ifindex, is_ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
  if (!link.valid()) return ErrnoError(errno, "attach {} to ifindex {}", program, ifindex);
  return bpf_obj_pin(link.get(), pin.c_str()) == 0 ? OkStatus() : ErrnoError(errno, "pin {}", pin);
}

Status AttachProbe(bpf_object* object, const std::string& name, const std::string& pin) {
  bpf_program* const program = bpf_object__find_program_by_name(object, name.c_str());
  if (program == nullptr) return InvalidError("no program {}", name);
  bpf_link* link = nullptr;
  if (std::string_view(bpf_program__section_name(program)).starts_with("cgroup")) {
    const char* const root = fs::exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
    const Fd cgroup(open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    link = bpf_program__attach_cgroup(program, cgroup.get());
  } else {
    link = bpf_program__attach(program);
  }
  if (link == nullptr) return ErrnoError(errno, "attach the probe {}", name);
  const int rc = bpf_obj_pin(bpf_link__fd(link), pin.c_str());
  const int error = errno;
  bpf_link__disconnect(link);
  bpf_link__destroy(link);
  return rc == 0 ? OkStatus() : ErrnoError(error, "pin {}", pin);
}

// Runs an iterator like the agent at its start: reads all processes, or all sockets and their owners. Its output is
// discarded.
Status RunIterator(bpf_object* object, const std::string& name) {
  const bpf_program* const program = bpf_object__find_program_by_name(object, name.c_str());
  if (program == nullptr) return InvalidError("no program {}", name);
  bpf_link* const link = bpf_program__attach_iter(program, nullptr);
  if (link == nullptr) return ErrnoError(errno, "make the iterator {}", name);
  const Fd iterator(bpf_iter_create(bpf_link__fd(link)));
  char nothing[4096];
  ssize_t size = 0;
  while ((size = read(iterator.get(), nothing, sizeof(nothing))) > 0 || (size < 0 && errno == EAGAIN)) {
  }
  bpf_link__destroy(link);
  return size == 0 ? OkStatus() : ErrnoError(errno, "iterate by {}", name);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Status RestoreState(const std::string& directory, const std::string& state_dir,
                    const std::map<std::string, std::string>& names) {
  std::string sql = ReadFile(directory + kState);
  for (const auto& [path, placeholder] : names) sql = Replace(std::move(sql), placeholder, path);
  fs::create_directories(state_dir);
  sqlite3* db = nullptr;
  int rc = sqlite3_open((state_dir + "/state.db").c_str(), &db);
  if (rc == SQLITE_OK) rc = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
  const std::string problem = sqlite3_errmsg(db);
  sqlite3_close(db);
  return rc == SQLITE_OK ? OkStatus() : InvalidError("{}{}: {}", directory, kState, problem);
}

// When this kernel lacks the tracepoint of the recorded socket probes, uses functions, as the older agent would have.
void UseBackEndOfThisKernel(Layout* layout) {
  if (libbpf_find_vmlinux_btf_id("tcp_sendmsg_locked", BPF_TRACE_RAW_TP) > 0) return;
  static const std::set<std::string> kOfTracepoints = {"tp_tcp_send", "tp_receive", "cg_getpeername4",
                                                       "cg_getpeername6", "cg_release"};
  std::erase_if(layout->probes, [](const auto& probe) { return kOfTracepoints.contains(probe.second); });
  for (const char* const program : {"fn_tcp_send", "fn_accept"}) layout->probes.emplace_back("sockets", program);
}

}  // namespace

Status RecordLayout(const std::string& bpf_root, const std::string& state_dir,
                    const std::map<std::string, std::string>& names, const std::string& directory) {
  fs::create_directories(directory);
  std::ofstream out(directory + kList);
  SL_ASSIGN_OR_RETURN(const std::string version, VersionDirectory(bpf_root));
  const std::string root = bpf_root + "/" + version;
  out << "version " << version << "\n";
  std::set<std::uint32_t> seen;
  std::set<fs::path> links, probes, maps;
  for (const auto& entry : fs::directory_iterator(root + "/links")) links.insert(entry.path());
  for (const fs::path& link : links) {
    const std::string name = link.filename();
    SL_RETURN_IF_ERROR(WriteProgramMaps("datapath_bpf", link, &seen, out));
    out << "link " << name.substr(0, name.rfind('-')) << " " << name.substr(name.rfind('-') + 1) << "\n";
  }
  for (const auto& entry : fs::recursive_directory_iterator(root + "/probes"))
    if (!entry.is_directory()) probes.insert(entry.path());
  seen.clear();
  for (const fs::path& probe : probes) {
    const std::string set = probe.parent_path().filename();
    SL_RETURN_IF_ERROR(WriteProgramMaps(set == "sockets" ? "socket_bpf" : "process_bpf", probe, &seen, out));
    out << "probe " << set << " " << probe.filename().string() << "\n";
  }
  for (const auto& entry : fs::directory_iterator(root + "/maps")) maps.insert(entry.path());
  for (const fs::path& map : maps) {
    SL_ASSIGN_OR_RETURN(const Fd fd, OpenPin(map));
    SL_ASSIGN_OR_RETURN(const bpf_map_info info, MapInfo(fd.get()));
    out << "map " << map.filename().string() << "\n";
    if (IsKept(info, map.filename())) SL_RETURN_IF_ERROR(WriteEntries(fd.get(), info, out));
  }
  SL_ASSIGN_OR_RETURN(const CommandResult dump, RunCommand({"sqlite3", state_dir + "/state.db", ".dump"}));
  if (dump.exit_code != 0) return InvalidError("sqlite3 .dump: {}", dump.output);
  // .dump leaves out the file header's values.
  SL_ASSIGN_OR_RETURN(const CommandResult user,
                      RunCommand({"sqlite3", state_dir + "/state.db", "PRAGMA user_version"}));
  SL_ASSIGN_OR_RETURN(const CommandResult application,
                      RunCommand({"sqlite3", state_dir + "/state.db", "PRAGMA application_id"}));
  std::string sql = dump.output + "PRAGMA user_version=" + Replace(user.output, "\n", "") + ";\n" +
                    "PRAGMA application_id=" + Replace(application.output, "\n", "") + ";\n";
  for (const auto& [path, placeholder] : names) sql = Replace(std::move(sql), path, placeholder);
  std::ofstream(directory + kState) << sql;
  return OkStatus();
}

Status RestoreLayout(const std::string& directory, const std::string& bpf_root, const std::string& state_dir,
                     const std::map<std::string, std::string>& names) {
  SL_ASSIGN_OR_RETURN(Layout layout, ReadLayout(directory));
  UseBackEndOfThisKernel(&layout);
  const std::string root = bpf_root + "/" + layout.version, maps_dir = root + "/maps", links_dir = root + "/links";
  for (const std::string& one : {maps_dir, links_dir, root + "/probes/processes", root + "/probes/sockets"})
    fs::create_directories(one);
  std::set<std::string> hooks, processes, sockets;
  for (const auto& [program, ifindex] : layout.links) hooks.insert(program);
  for (const auto& [set, program] : layout.probes) (set == "sockets" ? sockets : processes).insert(program);
  processes.insert("iterate_tasks");
  std::set<std::string> sockets_and_seeds = sockets;
  sockets_and_seeds.insert(std::begin(kSeeds), std::end(kSeeds));
  SL_ASSIGN_OR_RETURN(const Object datapath, LoadObject(directory, "datapath_bpf", layout, maps_dir, hooks));
  SL_RETURN_IF_ERROR(FillMaps(layout, maps_dir));
  SL_ASSIGN_OR_RETURN(const Object process, LoadObject(directory, "process_bpf", layout, maps_dir, processes));
  auto loaded = LoadObject(directory, "socket_bpf", layout, maps_dir, sockets_and_seeds);
  // Since 6.18.44 the kernel refuses these iterators. They are for sockets from before, which tests do not have.
  const bool seeds = loaded.ok();
  if (!seeds) loaded = LoadObject(directory, "socket_bpf", layout, maps_dir, sockets);
  SL_ASSIGN_OR_RETURN(const Object socket, std::move(loaded));
  for (const auto& [set, program] : layout.probes)
    SL_RETURN_IF_ERROR(AttachProbe(set == "sockets" ? socket.get() : process.get(), program,
                                   fmt::format("{}/probes/{}/{}", root, set, program)));
  SL_RETURN_IF_ERROR(RunIterator(process.get(), "iterate_tasks"));
  if (seeds) {
    for (const char* const name : kSeeds) SL_RETURN_IF_ERROR(RunIterator(socket.get(), name));
  }
  for (const auto& [program, ifindex] : layout.links)
    SL_RETURN_IF_ERROR(
        AttachLink(datapath.get(), program, ifindex, fmt::format("{}/{}-{}", links_dir, program, ifindex)));
  return RestoreState(directory, state_dir, names);
}

std::map<int, std::string> KeptLayouts() {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  std::map<int, std::string> layouts;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fmt::format("{}/tests/data/layouts", source ? source : "."), error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("v")) layouts[std::atoi(name.c_str() + 1)] = entry.path();
  }
  return layouts;
}

}  // namespace sluice::test
