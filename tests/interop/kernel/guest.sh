# Functions of the guest's script: what the kernel does with one cache.  The driver appends the calls.
#
# A cache is a number K.  Its metadata is the whole disk metaK; its fast device, origin, view and data to write are
# slices of the disks fast, origin, view and writes.  Lines for the driver begin with "@ ": `@ status K WHEN LINE` is
# dmsetup's status line, `@ broken WHAT` is something that must not happen.
#
# The kernel must move nothing of its own accord while blocks are compared: migration_threshold 0.

# slice NAME DISK FIRST_SECTOR SECTORS [SECTORS_OF_ZEROS]: a piece of a disk, followed by zeros, as a device.
slice() {
  {
    echo "0 $4 linear /dev/disk/$2 $3"
    [ -z "$5" ] || echo "$4 $5 zero"
  } | dmsetup create "$1" || echo "@ broken slice $1"
}

# activate K FORMAT POLICY ARGUMENTS...: c$K, over the devices f$K and o$K.  FORMAT is the metadata's version.
activate() {
  local k=$1 features="2 writeback no_discard_passdown" policy=$3
  [ "$2" = 1 ] || features="3 metadata2 writeback no_discard_passdown"
  shift 3
  dmsetup create "c$k" --table "0 $(blockdev --getsz /dev/mapper/o$k) cache /dev/disk/meta$k /dev/mapper/f$k \
    /dev/mapper/o$k $BLOCK_SECTORS $features $policy $*" || echo "@ broken activate $k"
}

status() { echo "@ status $1 $2 $(dmsetup status "c$1")"; }

# Suspending writes dirty bits, discards and hints; the status after it is what the metadata must say.
deactivate() {
  dmsetup suspend "c$1" || echo "@ broken suspend $1"
  status "$1" end
  dmsetup remove "c$1" || echo "@ broken remove $1"
}

# view K FIRST_MIB MIB: the first MIB of the cache are copied to the view, which the driver compares.
view() {
  dd if="/dev/mapper/c$1" of=/dev/disk/view bs=1M seek="$2" count="$3" iflag=direct oflag=direct conv=notrunc \
    2>/dev/null || echo "@ broken view $1"
}

# put K FIRST_BLOCK BEGIN COUNT [FLAGS]: origin blocks from BEGIN on are overwritten through the cache with those of the
# disk `writes`.
put() {
  dd if=/dev/disk/writes of="/dev/mapper/c$1" bs="${BLOCK_SECTORS}b" skip=$(($2 + $3)) seek="$3" count="$4" \
    iflag=direct oflag=direct conv="notrunc${5:+,$5}" 2>/dev/null || echo "@ broken put $1 $3 $4"
}

# drop K BEGIN COUNT: origin blocks are discarded.
drop() {
  blkdiscard -o $(($2 * BLOCK_SECTORS * 512)) -l $(($3 * BLOCK_SECTORS * 512)) "/dev/mapper/c$1" ||
    echo "@ broken drop $1 $2 $3"
}

# clean K: waits until the cleaner policy has written everything back.
clean() {
  local tries=0
  # The 14th word is the number of dirty blocks.
  while [ "$(dmsetup status "c$1" | cut -d' ' -f14)" != 0 ]; do
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || { echo "@ broken clean $1"; return; }
    usleep 50000
  done
}
