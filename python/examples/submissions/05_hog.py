# memory limit: wants all of the memory
hoard = []
while True:
    hoard.append(bytearray(16 << 20))
