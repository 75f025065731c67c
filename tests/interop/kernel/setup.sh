#!/bin/bash
# Makes what a guest with dm-cache boots from: Debian's own kernel and a small initramfs.
#
#   setup.sh FOLDER    ends at once if FOLDER is complete and was made by this version of the scripts
#
# In FOLDER: vmlinux, initrd, release (the kernel's version), made-by.  The kernel package is downloaded with apt and
# unpacked there, not installed.  qemu, busybox, dmsetup and lz4 come from Debian packages, which are installed if they
# are missing and we are root or sudo asks nothing.  Exit code 77, with a sentence, where that cannot be done.
set -euo pipefail
export LC_ALL=C
folder=${1:?"usage: setup.sh FOLDER"}
mkdir -p "$folder"
folder=$(realpath "$folder")
cd "$(dirname "$0")"
readonly HERE=$PWD

skip() {
  echo "setup.sh: skipped, no real kernel here: $*" >&2
  exit 77
}

made_by=$(cat setup.sh init.sh | sha256sum)
exec 9>"$folder/lock"
flock 9 # Two builds may share the folder.
if command -v qemu-system-x86_64 >/dev/null && [[ "$(cat "$folder/made-by" 2>/dev/null)" == "$made_by" ]]; then
  exit 0
fi

# --- Packages of this machine ---
as_root=()
((EUID == 0)) || as_root=(sudo -n)
apt_updated=false
update_apt() {
  $apt_updated || "${as_root[@]}" apt-get -qq update >&2 || true # One dead source of several does not matter.
  apt_updated=true
}
missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
command -v lz4 >/dev/null || missing+=(lz4)
[[ -x /usr/sbin/dmsetup ]] || missing+=(dmsetup)
# Debian's busybox-static, not a dynamic one: nothing else of the guest would need the C library's loader for it.
if ! [[ -x /bin/busybox ]] || ldd /bin/busybox >/dev/null 2>&1; then missing+=(busybox-static); fi
if ((${#missing[@]} > 0)); then
  ((EUID == 0)) || sudo -n true 2>/dev/null || skip "these packages are missing, and installing needs root: ${missing[*]}"
  echo "setup.sh: installing ${missing[*]}" >&2
  install_missing() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 </dev/null
  }
  install_missing || { update_apt && install_missing; } || skip "apt-get cannot install ${missing[*]}"
fi

# --- The kernel package ---
work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
# linux-image-cloud-amd64 is empty and depends on the newest kernel for virtual machines.
package_name() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | grep -oE 'linux-image-[0-9]\S*' | head -n 1; }
download() {
  local package
  package=$(package_name) && [[ -n "$package" ]] &&
    (cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$package" >&2)
}
# Mirrors drop a kernel when the next one comes; an old package list still names it.
download || { update_apt && download; } || skip "apt-get cannot download linux-image-cloud-amd64"
dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
release=$(ls "$work/kernel/lib/modules")
modules=$work/kernel/lib/modules/$release

# Decompressed here, once: the emulated processor takes seconds for it at every boot.  The header at the start of the
# image says where the compressed kernel lies; its last 4 bytes are the size when decompressed.
image=$work/kernel/boot/vmlinuz-$release
u8() { od -An -tu1 -j"$1" -N1 "$image" | tr -d ' '; }
u32() { od -An -tu4 -j"$1" -N4 "$image" | tr -d ' '; }
begin=$((($(u8 $((0x1f1))) + 1) * 512 + $(u32 $((0x248)))))
tail -c "+$((begin + 1))" "$image" | head -c "$(($(u32 $((0x24c))) - 4))" >"$work/compressed" || true
case "$(od -An -tx1 -N4 "$work/compressed" | tr -d ' ')" in
  02214c18) lz4 -dcq "$work/compressed" >"$work/vmlinux" ;;
  fd377a58) xz -dcq --single-stream "$work/compressed" >"$work/vmlinux" ;;
  28b52ffd) zstd -dcq "$work/compressed" >"$work/vmlinux" ;;
  *) echo "setup.sh: $image is compressed in a way unknown here" >&2; exit 1 ;;
esac

# --- The initramfs ---
root=$work/root
mkdir -p "$root"/{bin,sbin,dev,proc,sys,run,lib/modules}
cp /bin/busybox "$root/bin/"
install -m 755 "$HERE/init.sh" "$root/init"

# Modules in the order in which they must be loaded: what each needs is written in the module itself.
declare -A taken=()
add_module() {
  local name=${1//-/_} file needed
  [[ -z "${taken[$name]:-}" ]] || return 0
  taken[$name]=1
  file=$(find "$modules/kernel" -name "${name//_/[-_]}.ko" -print -quit)
  if [[ -z "$file" ]]; then
    grep -qE "/${name//_/[-_]}\.ko$" "$modules/modules.builtin" && return 0
    echo "setup.sh: linux-image-$release has no module $1" >&2
    exit 1
  fi
  for needed in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr , ' '); do add_module "$needed"; done
  cp "$file" "$root/lib/modules/$name.ko"
  echo "$name" >>"$root/lib/modules/order"
}
for module in virtio_pci virtio_blk crc32c_generic dm_mod dm_zero dm_cache dm_cache_smq; do add_module "$module"; done

# dmsetup with its libraries.
cp /usr/sbin/dmsetup "$root/sbin/"
ldd /usr/sbin/dmsetup | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done

(cd "$root" && find . | sort | busybox cpio -o -H newc 2>/dev/null) | gzip -1n >"$work/initrd"
mv "$work/vmlinux" "$work/initrd" "$folder/"
echo "$release" >"$folder/release"
echo "$made_by" >"$folder/made-by"
echo "setup.sh: Linux $release is ready in $folder" >&2
